package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"truc/internal/app"
	"truc/internal/exchange"
	"truc/internal/pki"
	"truc/internal/translog"
)

const evidenceUsage = `usage: truc evidence COMMAND
  export ID [-persons] [-bodies] -o FILE   fetch the evidence of an exchange from a running node
     -config FILE    configuration of the node; its [web] url is asked (default truc.toml)
     -node URL       ask this address instead
     -key-file FILE  key of an operator with the role security; TRUC_OPERATOR_KEY works too
  files | archive | prune | verify-log   keep a log of a running node in order; -url, -key-file and -config say which node
     -log NAME       exchange (default) or audit, which is never pruned
     -keep N         archive: how many closed files stay in the data folder
     -older-than-days N -policy TEXT   prune: the age of entries, and the rule under which they are removed
  compare DIR DIR    hold the exchange logs of two nodes (their data folders) against each other
`

// evidence is truc evidence. An export comes from a running node, over its management interface, because it is an act
// that the node has to record before it happens, and because only the node has the index, the key of sealed ids and the
// confirmations at hand. A comparison only reads the logs, also of nodes that do not run.
func evidence(ctx context.Context, s streams, args []string) error {
	switch {
	case len(args) > 0 && args[0] == "export":
		return evidenceExport(ctx, s, args[1:])
	case len(args) > 0 && slices.Contains([]string{"files", "archive", "prune", "verify-log"}, args[0]):
		return evidenceLog(ctx, s, args[0], args[1:])
	case len(args) > 0 && args[0] == "compare":
		return evidenceCompare(ctx, s, args[1:])
	}
	fmt.Fprint(s.err, evidenceUsage)
	return errUsage
}

func evidenceExport(ctx context.Context, s streams, args []string) error {
	fs := flag.NewFlagSet("evidence export", flag.ContinueOnError)
	fs.SetOutput(s.err)
	fs.Usage = func() { fmt.Fprint(s.err, evidenceUsage) }
	config := fs.String("config", "truc.toml", "configuration of the node")
	node := fs.String("node", "", "address of the node")
	keyFile := fs.String("key-file", "", "file with the key of an operator")
	out := fs.String("o", "", "file to write")
	persons := fs.Bool("persons", false, "with the ids of persons")
	bodies := fs.Bool("bodies", false, "with the bodies that were kept")
	ids, rest := []string{}, args
	for len(rest) > 0 { // options may stand before or behind the id
		if err := fs.Parse(rest); err != nil {
			return errUsageOr(err)
		}
		rest = fs.Args()
		if len(rest) > 0 {
			ids, rest = append(ids, rest[0]), rest[1:]
		}
	}
	if len(ids) != 1 || *out == "" {
		fmt.Fprint(s.err, evidenceUsage)
		return errUsage
	}
	if *node == "" {
		cfg, err := app.LoadConfig(*config)
		if err != nil {
			return err
		}
		*node = cfg.Web.URL
	}
	key := s.getenv("TRUC_OPERATOR_KEY")
	if *keyFile != "" {
		b, err := os.ReadFile(*keyFile)
		if err != nil {
			return err
		}
		key = strings.TrimSpace(string(b))
	}
	if key == "" {
		return errors.New("the node wants the key of an operator: -key-file, or TRUC_OPERATOR_KEY")
	}
	query := url.Values{}
	for name, on := range map[string]bool{"persons": *persons, "bodies": *bodies} {
		if on {
			query.Set(name, "true")
		}
	}
	n, err := fetchEvidence(ctx, strings.TrimSuffix(*node, "/")+"/api/exchange/evidence/"+url.PathEscape(ids[0])+"?"+query.Encode(), key, *out)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: %d bytes; check it with: truc verify %s -anchor KEYID\n", *out, n, *out)
	return nil
}

// fetchEvidence writes a package to a file, which gets its name when it is whole.
func fetchEvidence(ctx context.Context, address, key, out string) (n int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(out), filepath.Base(out)+".*")
	if err != nil {
		return 0, err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err == nil {
			err = os.Rename(f.Name(), out)
		} else {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if n, err = downloadEvidence(ctx, address, key, f); err != nil {
		return 0, err
	}
	_, err = exchange.OpenEvidenceFile(f, n)
	return n, err
}

func downloadEvidence(ctx context.Context, address, key string, to io.Writer) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, http.NoBody)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := (&http.Client{Timeout: 2 * time.Hour}).Do(req) // bodies of many gigabytes may be in it
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, answerError(resp)
	}
	return io.Copy(to, resp.Body)
}

// answerError tells why a node refuses.
func answerError(resp *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	var problem struct{ Title, Detail string }
	_ = json.Unmarshal(b, &problem) // another server may answer with anything
	return fmt.Errorf("the node answers %s %s %s", resp.Status, problem.Title, problem.Detail)
}

func evidenceCompare(ctx context.Context, s streams, args []string) error {
	if len(args) != 2 {
		fmt.Fprint(s.err, evidenceUsage)
		return errUsage
	}
	var logs [2]*translog.Log
	for i, dir := range args {
		log, err := openExchangeLog(dir)
		if err != nil {
			return err
		}
		defer log.Close() //nolint:errcheck // only read
		logs[i] = log
	}
	c, err := exchange.CompareLogs(ctx, logs[0], logs[1])
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s – %s: %d acknowledged exchanges, %d entries pruned\n", c.Nodes[0], c.Nodes[1], c.Acknowledged, c.Skipped)
	for _, d := range c.Differences {
		fmt.Fprintln(s.out, d)
	}
	if len(c.Differences) > 0 {
		return errors.New("the logs do not agree")
	}
	return nil
}

// openExchangeLog opens the exchange log in a data folder for reading.
func openExchangeLog(data string) (*translog.Log, error) {
	dir := filepath.Join(data, "logs", "exchange")
	vkey := ""
	note, err := os.ReadFile(filepath.Join(dir, "checkpoint")) //nolint:gosec // the folder is the operator's
	if err == nil {
		if _, err := os.Stat(filepath.Join(data, "keys", "exchange-log.key")); err != nil { //nolint:gosec // the folder is the operator's
			return nil, err
		}
		key, err := pki.PublicKeyOf(filepath.Join(data, "keys", "exchange-log.key")) // sealed or not
		if err != nil {
			return nil, err
		}
		pub, ok := key.(ed25519.PublicKey)
		if !ok {
			return nil, errors.New("the key of the log is not an Ed25519 key")
		}
		origin, _, _ := strings.Cut(string(note), "\n")
		if vkey, err = translog.VerifierKey(origin, pub); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return translog.OpenReader(dir, "", vkey, nil)
}
