package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"

	"truc/internal/app"
)

// openingKeys tells the configuration what only the process knows about the passphrase of its keys.
func openingKeys(s streams, cfg *app.Config, stdin bool, in io.Reader) error {
	cfg.UseCredentials(s.getenv("CREDENTIALS_DIRECTORY"))
	if !stdin {
		return nil
	}
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadBytes('\n')
	if err != nil && err != io.EOF {
		return err
	}
	cfg.UsePassphrase(line)
	return nil
}

// sealCommand encrypts the key files of a node that does not run, or puts them back.
func sealCommand(s streams, unseal bool, args []string) error {
	fs := flag.NewFlagSet("keys", flag.ContinueOnError)
	fs.SetOutput(s.err)
	fs.Usage = func() { fmt.Fprint(s.err, keysUsage); fs.PrintDefaults() }
	config := fs.String("config", "truc.toml", "configuration file")
	stdin := fs.Bool("passphrase-stdin", false, "read the passphrase from the standard input")
	if err := fs.Parse(args); err != nil {
		return errUsageOr(err)
	}
	p, err := newSpeaker(s)
	if err != nil {
		return err
	}
	cfg, err := app.LoadConfig(*config)
	if err != nil {
		return err
	}
	if err := openingKeys(s, cfg, *stdin, os.Stdin); err != nil {
		return err
	}
	changed, err := app.SealKeys(cfg, unseal)
	key := "cmd.keys.sealed"
	if unseal {
		key = "cmd.keys.unsealed"
	}
	for _, file := range changed {
		p.say(key, "file", file)
	}
	if err == nil && len(changed) == 0 {
		p.say("cmd.keys.nothing")
	}
	return p.fault(err)
}
