// Command truc is the whole platform in one binary: a node (serve), a network of nodes to look at (demo), and the
// tools around them. Only this package reads the environment and the real clock's signals.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "truc: "+err.Error())
		os.Exit(1)
	}
}

// errUsage means that the words of the command were wrong and that this was said already.
var errUsage = errors.New("usage")

// io_ are the streams of a command.
type streams struct {
	out, err io.Writer
	getenv   func(string) string
}
