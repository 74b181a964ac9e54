package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"truc/cmd/truc/internal/nodeclient"
	"truc/internal/exchange"
	"truc/internal/i18n"
)

const recordsUsage = `usage: truc records COMMAND [flags], at a node that runs: what a partner's log holds of exchanges with this node
  truc records list PARTNER                  one line for each exchange, read from the partner over the exchange
  truc records evidence PARTNER ID -o FILE   the partner's evidence package of an exchange; -persons with ids of persons
  truc records compare PARTNER               say which exchanges one of the two logs lacks or has otherwise
     -from T -to T   2026-11-22, or with a time as in RFC 3339; the last day when missing
     -as SUBSYSTEM   list, evidence: the subsystem of this node that asks; the first when missing
     -json           as the node tells it
PARTNER is a member (VN/GOV/G01) or one of its nodes (VN/GOV/G01/node1).
`

// recordsFlags are what the commands take.
type recordsFlags struct {
	from, to, as, out string
	persons, json     bool
}

func (f recordsFlags) query(partner string) (url.Values, error) {
	q := url.Values{"partner": {partner}}
	for name, text := range map[string]string{"from": f.from, "to": f.to} {
		if text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			if t, err = time.ParseInLocation(time.DateOnly, text, i18n.Zone); err != nil {
				return nil, fmt.Errorf("-%s %q is no time such as 2026-11-22 or 2026-11-22T08:00:00+07:00", name, text)
			}
		}
		q.Set(name, strconv.FormatInt(t.Unix(), 10))
	}
	return q, nil
}

func recordsCommand(ctx context.Context, s streams, args []string) error {
	words := map[string]int{"list": 1, "evidence": 2, "compare": 1}
	if len(args) == 0 || words[args[0]] == 0 {
		fmt.Fprint(s.err, recordsUsage)
		return errUsage
	}
	fs := flag.NewFlagSet("records "+args[0], flag.ContinueOnError)
	fs.SetOutput(s.err)
	fs.Usage = func() { fmt.Fprint(s.err, recordsUsage); fs.PrintDefaults() }
	node := nodeclient.Flags(fs, s.getenv)
	var f recordsFlags
	fs.StringVar(&f.from, "from", "", "beginning")
	fs.StringVar(&f.to, "to", "", "end")
	fs.StringVar(&f.as, "as", "", "subsystem that asks")
	fs.StringVar(&f.out, "o", "", "file to write")
	fs.BoolVar(&f.persons, "persons", false, "with ids of persons")
	fs.BoolVar(&f.json, "json", false, "as the node tells it")
	var rest []string
	for left := args[1:]; ; { // flags may stand before, between and behind the words
		if err := fs.Parse(left); err != nil {
			return errUsageOr(err)
		}
		if fs.NArg() == 0 {
			break
		}
		rest, left = append(rest, fs.Arg(0)), fs.Args()[1:]
	}
	if len(rest) != words[args[0]] || (args[0] == "evidence") != (f.out != "") {
		fmt.Fprint(s.err, recordsUsage)
		return errUsage
	}
	q, err := f.query(rest[0])
	if err != nil {
		return err
	}
	c, err := node.Client()
	if err != nil {
		return err
	}
	switch args[0] {
	case "list":
		return recordsList(ctx, s, c, f, q)
	case "evidence":
		return recordsEvidence(ctx, s, c, f, q, rest[1])
	}
	return recordsCompare(ctx, s, c, f, q)
}

func recordsList(ctx context.Context, s streams, c *nodeclient.Client, f recordsFlags, q url.Values) error {
	if f.as != "" {
		q.Set("as", f.as)
	}
	for {
		var page exchange.PartyPage
		if err := c.Do(ctx, http.MethodGet, "/api/exchange/partner-records?"+q.Encode(), nil, &page); err != nil {
			return err
		}
		if page.PrunedUntil > 0 {
			fmt.Fprintf(s.err, "what the partner logged until %s was removed there under its retention policy\n", time.UnixMicro(page.PrunedUntil).UTC().Format(time.RFC3339))
		}
		for _, r := range page.Records {
			if f.json {
				if err := json.NewEncoder(s.out).Encode(r); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(s.out, "%s  %s  %s  %s  %s → %s  %s  %d %s\n", time.UnixMicro(r.At).UTC().Format(time.RFC3339), r.Node, r.Role, r.ExchangeID,
				r.Client, r.Service, r.Method, r.Status, r.Outcome)
		}
		if page.Next == "" {
			return nil
		}
		q.Set("cursor", page.Next)
	}
}

func recordsEvidence(ctx context.Context, s streams, c *nodeclient.Client, f recordsFlags, q url.Values, id string) (err error) {
	if f.as != "" {
		q.Set("as", f.as)
	}
	if f.persons {
		q.Set("persons", "true")
	}
	file, err := os.CreateTemp(filepath.Dir(f.out), filepath.Base(f.out)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err == nil {
			err = os.Rename(file.Name(), f.out)
		} else {
			err = errors.Join(err, os.Remove(file.Name()))
		}
		if err == nil {
			fmt.Fprintf(s.out, "%s; check it with: truc verify %s -anchor KEYID\n", f.out, f.out)
		}
	}()
	if err := c.Do(ctx, http.MethodPost, "/api/exchange/partner-evidence/"+url.PathEscape(id)+"?"+q.Encode(), nil, file); err != nil {
		return err
	}
	st, err := file.Stat()
	if err != nil {
		return err
	}
	_, err = exchange.OpenEvidenceFile(file, st.Size())
	return err
}

func recordsCompare(ctx context.Context, s streams, c *nodeclient.Client, f recordsFlags, q url.Values) error {
	var all exchange.PartnerComparison
	for part := 0; ; part++ { // a long span is compared in parts
		var out exchange.PartnerComparison
		if err := c.Do(ctx, http.MethodGet, "/api/exchange/partner-comparison?"+q.Encode(), nil, &out); err != nil {
			return err
		}
		if part == 0 {
			all.From, all.Nodes = out.From, out.Nodes
		}
		all.To, all.Agreed, all.Unprovable = out.To, all.Agreed+out.Agreed, all.Unprovable+out.Unprovable
		all.Differences = append(all.Differences, out.Differences...)
		if !out.More {
			break
		}
		q.Set("from", strconv.FormatInt(out.To.Unix(), 10))
	}
	if f.json {
		if err := json.NewEncoder(s.out).Encode(all); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(s.out, "%s to %s, with %v: %d exchanges agree, %d differ", all.From.Format(time.RFC3339), all.To.Format(time.RFC3339), all.Nodes, all.Agreed, len(all.Differences))
		if all.Unprovable > 0 {
			fmt.Fprintf(s.out, ", %d were removed by one side's retention policy", all.Unprovable)
		}
		fmt.Fprintln(s.out)
		for _, d := range all.Differences {
			fmt.Fprintf(s.out, "%s  %s  %s  %s  %s\n", d.At.Format(time.RFC3339), differenceText[d.Kind], d.Node, d.ExchangeID, d.Service)
		}
	}
	if len(all.Differences) > 0 {
		return errors.New("the logs do not agree")
	}
	return nil
}

var differenceText = map[string]string{
	exchange.MissingThere: "missing there", exchange.MissingHere: "missing here",
	exchange.RequestDiffers: "another request", exchange.AnswerDiffers: "another answer",
}
