// Package directoryclient asks the center over HTTP. It believes nothing by itself: whoever uses it verifies the
// signatures in what comes back.
package directoryclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"truc/internal/directory"
	"truc/internal/errs"
)

// Client implements [directory.CenterAPI] against directoryapi.
type Client struct {
	// URL is the center's, "http://127.0.0.1:7100".
	URL string
	// HTTP is the client to use; nil takes one with a timeout of 20 s that follows no redirect.
	HTTP *http.Client
}

func (c *Client) client() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Document implements [directory.CenterAPI].
func (c *Client) Document(ctx context.Context, hash, poll string) ([]byte, directory.Current, error) {
	env, cur, _, err := c.document(ctx, c.client(), hash, poll, 0)
	return env, cur, err
}

// Await implements [directory.Awaiter].
func (c *Client) Await(ctx context.Context, hash, poll string, wait time.Duration) ([]byte, directory.Current, bool, error) {
	patient := *c.client()
	if patient.Timeout > 0 {
		patient.Timeout += wait
	}
	return c.document(ctx, &patient, hash, poll, wait)
}

func (c *Client) document(ctx context.Context, client *http.Client, hash, poll string, wait time.Duration) (env []byte, cur directory.Current, waited bool, err error) {
	a, err := c.do(ctx, client, http.MethodGet, "/directory/v1/document", nil, func(h http.Header) {
		if hash != "" {
			h.Set("If-None-Match", `"`+hash+`"`)
		}
		if poll != "" {
			h.Set("Truc-Directory-Poll", poll)
		}
		if wait >= time.Second {
			h.Set("Prefer", "wait="+strconv.Itoa(int(wait/time.Second)))
		}
	})
	if err != nil {
		return nil, cur, false, err
	}
	cur, err = directory.ParseCurrent(a.header.Get("Truc-Directory-Current"))
	if err != nil {
		return nil, cur, false, errs.E(errs.Unavailable, "directory.center_unreachable", err)
	}
	waited = strings.HasPrefix(a.header.Get("Preference-Applied"), "wait=")
	if a.status == http.StatusNotModified {
		return nil, cur, waited, nil
	}
	return a.body, cur, waited, nil
}

// Join implements [directory.CenterAPI].
func (c *Client) Join(ctx context.Context, req directory.Signed) (*directory.Reply, error) {
	return c.reply(ctx, "/directory/v1/join", req)
}

// Renew implements [directory.CenterAPI].
func (c *Client) Renew(ctx context.Context, req directory.Signed) (*directory.Reply, error) {
	return c.reply(ctx, "/directory/v1/renew", req)
}

// Publish implements [directory.CenterAPI].
func (c *Client) Publish(ctx context.Context, req directory.Signed) ([]byte, error) {
	a, err := c.do(ctx, c.client(), http.MethodPost, "/directory/v1/services", req.Marshal(), nil)
	return a.body, err
}

// ChangeKey implements [directory.CenterAPI].
func (c *Client) ChangeKey(ctx context.Context, req directory.Signed) ([]byte, error) {
	a, err := c.do(ctx, c.client(), http.MethodPost, "/directory/v1/key", req.Marshal(), nil)
	return a.body, err
}

// Leave implements [directory.CenterAPI].
func (c *Client) Leave(ctx context.Context, req directory.Signed) (*directory.Leave, error) {
	a, err := c.do(ctx, c.client(), http.MethodPost, "/directory/v1/leave", req.Marshal(), nil)
	if err != nil {
		return nil, err
	}
	l := new(directory.Leave)
	if err := json.Unmarshal(a.body, l); err != nil {
		return nil, errs.E(errs.Unavailable, "directory.center_unreachable", err)
	}
	return l, nil
}

func (c *Client) reply(ctx context.Context, path string, req directory.Signed) (*directory.Reply, error) {
	a, err := c.do(ctx, c.client(), http.MethodPost, path, req.Marshal(), nil)
	if err != nil {
		return nil, err
	}
	r := new(directory.Reply)
	if err := json.Unmarshal(a.body, r); err != nil {
		return nil, errs.E(errs.Unavailable, "directory.center_unreachable", err)
	}
	return r, nil
}

// answer is what the center said, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (c *Client) do(ctx context.Context, client *http.Client, method, path string, body []byte, header func(http.Header)) (answer, error) {
	unreachable := func(err error) error { return errs.E(errs.Unavailable, "directory.center_unreachable", err) }
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, unreachable(err)
	}
	req.Header.Set("Accept", "application/json, application/problem+json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if header != nil {
		header(req.Header)
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, unreachable(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, directory.MaxDocument+directory.MaxRequest))
	if err != nil {
		return answer{}, unreachable(err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotModified && resp.StatusCode != http.StatusAccepted {
		return answer{}, problem(resp.StatusCode, b)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: b}, nil
}

// problem turns the center's refusal into an error of ours. Only keys of this module are passed on: what an address
// that claims to be the center says must not choose the words on our pages.
func problem(status int, body []byte) error {
	var p struct {
		Code string `json:"code"`
	}
	err := errors.New("no problem document")
	if jerr := json.Unmarshal(body, &p); jerr == nil {
		err = fmt.Errorf("the center answered %d %s", status, p.Code)
	}
	if !strings.HasPrefix(p.Code, "directory.") {
		p.Code = "directory.center_refused"
	}
	return errs.E(errs.KindOfStatus(status), p.Code, err)
}
