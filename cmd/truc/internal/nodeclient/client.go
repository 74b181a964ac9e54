// Package nodeclient lets the subcommands of truc talk to a running node through its management interface. A command
// takes the flags with [Flags], makes a [Client] with [Options.Client], and calls operations by [Client.Do].
package nodeclient

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"truc/internal/app"
)

// Options are the flags that say which node is meant.
type Options struct {
	URL, KeyFile, CAFile, Lang string
	// Config is the configuration of a node on this machine, which is meant when no other is named.
	Config string
}

// Flags adds -url, -key-file, -ca-file, -lang and -config to a flag set. The first two default to TRUC_URL and
// TRUC_KEY_FILE. Where neither is given, the node of -config on this machine is meant and the key in its data folder is
// used. That key is never sent to an address from elsewhere.
func Flags(fs *flag.FlagSet, getenv func(string) string) *Options {
	o := &Options{}
	fs.StringVar(&o.URL, "url", getenv("TRUC_URL"), "address of the node (TRUC_URL); default the one of -config, else "+defaultURL)
	fs.StringVar(&o.KeyFile, "key-file", getenv("TRUC_KEY_FILE"), "file with an operator's key (TRUC_KEY_FILE); default keys/"+app.OperatorKeyFile+" in the data folder of -config")
	fs.StringVar(&o.CAFile, "ca-file", "", "PEM file of authorities to trust instead of the system's")
	language := "vi"
	if l := getenv("LANG"); l != "" && !strings.HasPrefix(l, "vi") {
		language = "en"
	}
	fs.StringVar(&o.Lang, "lang", language, "language of the node's messages: vi or en")
	fs.StringVar(&o.Config, "config", "truc.toml", "configuration of the node on this machine, when -url or -key-file is missing")
	return o
}

const defaultURL = "http://127.0.0.1:7100"

// complete takes what is missing from the configuration of this machine's node, if there is one.
func (o *Options) complete() error {
	if o.URL != "" && o.KeyFile != "" {
		return nil
	}
	if _, err := os.Stat(o.Config); err == nil {
		cfg, err := app.LoadConfig(o.Config)
		if err != nil {
			return err
		}
		if o.URL == "" {
			o.URL, o.KeyFile = cfg.Web.URL, cmp.Or(o.KeyFile, filepath.Join(cfg.DataDir, "keys", app.OperatorKeyFile))
		}
	}
	o.URL = cmp.Or(o.URL, defaultURL)
	return nil
}

// Client calls operations of one node.
type Client struct {
	base, key, lang string
	http            *http.Client
}

// maxAnswer bounds what is read of an answer that is not streamed.
const maxAnswer = 64 << 20

// Client reads the key and checks the address: a key is sent in clear only to this very machine.
func (o *Options) Client() (*Client, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	u, err := url.Parse(strings.TrimSuffix(o.URL, "/"))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return nil, fmt.Errorf("-url %q is no address such as https://node.example", o.URL)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("-url %s: an operator's key goes to another machine by https only", o.URL)
	}
	if o.KeyFile == "" {
		return nil, errors.New("-key-file: name the file with an operator's key (each node writes keys/" + app.OperatorKeyFile + " into its data folder)")
	}
	key, err := os.ReadFile(o.KeyFile)
	if err != nil {
		return nil, err
	}
	c := &Client{base: u.String(), key: strings.TrimSpace(string(key)), lang: o.Lang, http: &http.Client{
		Timeout: 2 * time.Minute,
		// A redirect would carry the key to wherever it points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", o.CAFile)
		}
		c.http.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}}
	}
	return c, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Error is a refusal by the node.
type Error struct {
	Status int
	// Code is the message key, such as "exchange.key_unknown"; Detail the sentence; Instance the id in the node's log.
	Code, Detail, Instance string
}

// Error implements error.
func (e *Error) Error() string {
	text := cmp.Or(e.Detail, http.StatusText(e.Status))
	if e.Instance != "" {
		text += " [" + e.Code + ", " + e.Instance + "]"
	}
	return text
}

// Do calls an operation. body is nil, an [io.Reader] that is sent as it is, or a value that becomes JSON; out is nil, an
// [io.Writer] that receives the answer as it comes, or a pointer that the JSON is read into. A refusal is an [*Error].
func (c *Client) Do(ctx context.Context, method, path string, body, out any) error {
	var send io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case io.Reader:
		send, kind = b, "application/octet-stream"
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return err
		}
		send = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, send)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Accept-Language", c.lang)
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("the node does not answer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return refusal(resp)
	}
	switch o := out.(type) {
	case nil:
		return nil
	case io.Writer:
		_, err = io.Copy(o, resp.Body)
		return err
	default:
		return json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(o)
	}
}

func refusal(resp *http.Response) error {
	e := &Error{Status: resp.StatusCode}
	var p struct {
		Code     string `json:"code"`
		Detail   string `json:"detail"`
		Instance string `json:"instance"`
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err == nil && json.Unmarshal(b, &p) == nil {
		e.Code, e.Detail, e.Instance = p.Code, p.Detail, p.Instance
	}
	return e
}
