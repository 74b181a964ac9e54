package alarmclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"truc/internal/alarm"
)

// Webhook is a channel that posts JSON, signed by the node (RFC 9421) as messages to the agency's systems are.
type Webhook struct {
	URL string
	// Client must not follow redirects: the address is configuration.
	Client *http.Client
	// Sign adds Content-Digest, Signature-Input and Signature for a body.
	Sign func(r *http.Request, body []byte) error
	Words
}

var _ alarm.Channel = (*Webhook)(nil)

type hookEvent struct {
	Name  string    `json:"name"`
	Phase string    `json:"phase"`
	Light string    `json:"light"`
	Text  string    `json:"text"`
	Todo  string    `json:"todo,omitempty"`
	Since time.Time `json:"since"`
}

type hookBody struct {
	ID     string      `json:"id"`
	Node   string      `json:"node"`
	At     time.Time   `json:"at"`
	Test   bool        `json:"test,omitempty"`
	Text   string      `json:"text"`
	Events []hookEvent `json:"events"`
}

// Send implements [alarm.Channel].
func (h *Webhook) Send(ctx context.Context, m alarm.Message) error {
	body := hookBody{ID: m.ID, Node: m.Node, At: m.At, Test: m.Test, Text: h.Subject(m), Events: []hookEvent{}}
	for _, e := range m.Events {
		one := hookEvent{Name: e.Finding.Name, Phase: string(e.Phase), Light: "warn", Text: h.sentence(e.Finding), Since: e.Since}
		switch {
		case e.Phase == alarm.Ended:
			one.Light, one.Text = "good", ""
		case e.Finding.Bad:
			one.Light = "bad"
		}
		if e.Finding.Todo != "" && e.Phase != alarm.Ended {
			one.Todo = h.t(e.Finding.Todo)
		}
		body.Events = append(body.Events, one)
	}
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if err := h.Sign(r, b); err != nil {
		return err
	}
	res, err := h.Client.Do(r)
	if err != nil {
		return errors.New("the webhook cannot be reached") // the address may hold a secret
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 4096)) // so that the connection can be used again
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("the webhook answered %d", res.StatusCode)
	}
	return nil
}
