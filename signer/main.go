package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stderr, time.Now) //nolint:forbidigo // the one place where the clock comes in
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "truc-signer: "+err.Error())
		os.Exit(1)
	}
}

type options struct {
	module, token, pinFile, socket string
	uids                           []int
	rate                           int
	node                           string
	nodeRate                       int
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("truc-signer", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.module, "module", "", "the vendor's PKCS #11 library (.so)")
	fs.StringVar(&o.token, "token", "", "label of the token that holds the keys")
	fs.StringVar(&o.pinFile, "pin-file", "", "file with the PIN of the token in its first line, readable for this user alone")
	fs.StringVar(&o.socket, "socket", "", "socket to listen on")
	fs.IntVar(&o.rate, "rate", 20, "signatures a second and key")
	fs.StringVar(&o.node, "node-keys", "", "how labels of the node's own keys begin, such as \"truc-\": they may be made here; empty for none")
	fs.IntVar(&o.nodeRate, "node-rate", 2000, "signatures a second and key of the node's own")
	uids := fs.String("allow-uid", "", "numbers of further users whose processes may sign, separated by commas")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	for name, v := range map[string]string{"module": o.module, "token": o.token, "pin-file": o.pinFile, "socket": o.socket} {
		if v == "" {
			err = errors.Join(err, fmt.Errorf("-%s is missing", name))
		}
	}
	if o.rate < 1 || o.nodeRate < 1 {
		err = errors.Join(err, errors.New("-rate and -node-rate must be 1 or more"))
	}
	o.uids = []int{os.Getuid()}
	for text := range strings.SplitSeq(*uids, ",") {
		if text == "" {
			continue
		}
		uid, perr := strconv.Atoi(text)
		if perr != nil || uid < 0 {
			err = errors.Join(err, fmt.Errorf("-allow-uid: %q is no number of a user", text))
			continue
		}
		o.uids = append(o.uids, uid)
	}
	return o, err
}

// readPIN reads the first line of a file that nobody else may read.
func readPIN(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s may be read by others: set mode 0600", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return "", err
	}
	pin, _, _ := strings.Cut(string(b), "\n")
	if pin = strings.TrimSuffix(pin, "\r"); pin == "" {
		return "", fmt.Errorf("%s holds no PIN", path)
	}
	return pin, nil
}

func run(ctx context.Context, args []string, stderr io.Writer, now func() time.Time) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	pin, err := readPIN(o.pinFile)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	d, err := openDevice(o.module, o.token, pin, o.node != "")
	if err != nil {
		return err
	}
	defer d.close()
	l, err := listen(o.socket, len(o.uids) > 1)
	if err != nil {
		return err
	}
	s := &server{device: d, uids: o.uids, rate: newRate(o.rate, now), node: o.node, nodeRate: newRate(o.nodeRate, now), log: log, now: now}
	log.InfoContext(ctx, "keys are ready", slog.String("token", o.token), slog.Int("keys", d.count()))
	return s.serve(ctx, l)
}
