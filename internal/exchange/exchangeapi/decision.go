package exchangeapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"truc/internal/exchange"
)

// DefaultDecisionTime bounds a question to a decision point (spec §3.4).
const DefaultDecisionTime = 50 * time.Millisecond

// maxDecision is far above any honest answer.
const maxDecision = 4 << 10

// HTTPDecider asks a decision point as Open Policy Agent is asked: POST of {"input": …}, answered with {"result": true} and
// nothing else to allow. It keeps no answer, so that a change of policy holds from the next request on.
type HTTPDecider struct {
	URL string
	// Timeout bounds a question; 0 means [DefaultDecisionTime].
	Timeout time.Duration
	// Client must follow no redirect; see [NewDecisionClient].
	Client *http.Client
}

// NewDecisionClient returns a client that keeps its connections and follows no redirect.
func NewDecisionClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Decide implements [exchange.Decider].
func (d *HTTPDecider) Decide(ctx context.Context, in exchange.DecisionInput) (bool, error) {
	timeout := d.Timeout
	if timeout <= 0 {
		timeout = DefaultDecisionTime
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := json.Marshal(map[string]any{"input": in})
	if err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := d.Client.Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); res.StatusCode != http.StatusOK || err != nil || kind != "application/json" {
		return false, fmt.Errorf("answer %s of type %q", res.Status, res.Header.Get("Content-Type"))
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxDecision+1))
	if err != nil {
		return false, err
	}
	return readDecision(b)
}

// readDecision reads {"result": true|false}; other members, such as the id of the decision, do not matter.
func readDecision(b []byte) (bool, error) {
	var out struct {
		Result *bool `json:"result"`
	}
	if len(b) > maxDecision {
		return false, errors.New("the answer is too long")
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return false, err
	}
	if out.Result == nil { // an undefined policy answers without one
		return false, errors.New("the answer holds no result")
	}
	return *out.Result, nil
}
