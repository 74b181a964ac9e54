package fakebank

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Run sends notices when they are due, until ctx ends. It starts no goroutine of its own.
func (b *Bank) Run(ctx context.Context) {
	for {
		next := b.Deliver(ctx)
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = time.After(max(next.Sub(b.now()), 10*time.Millisecond))
		}
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
		case <-timer:
		}
	}
}

func (b *Bank) rouse() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// job is a notice to be sent.
type job struct {
	payment string
	index   int
	url     string
}

// Deliver sends all notices that are due and returns when the next one will be, zero when none waits. [Run] calls
// it; tests call it to have no waiting in them.
func (b *Bank) Deliver(ctx context.Context) (next time.Time) {
	b.sending.Lock()
	defer b.sending.Unlock()
	for ctx.Err() == nil {
		jobs, later := b.due()
		if len(jobs) == 0 {
			return later
		}
		for _, j := range jobs {
			answer := b.send(ctx, j.url)
			if ctx.Err() != nil {
				return time.Time{} // the bank stops; the attempt counts for nothing
			}
			b.noteAnswer(ctx, j, answer)
		}
	}
	return time.Time{}
}

// due lists what to send now, at most one notice a payment: the second of two waits for the first.
func (b *Bank) due() (jobs []job, next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	for _, p := range b.sorted() {
		for i, n := range p.Notices {
			if n.Over {
				continue
			}
			if n.Due.After(now) {
				if next.IsZero() || n.Due.Before(next) {
					next = n.Due
				}
			} else if m, ok := b.merchants[p.Merchant]; ok {
				sep := "?"
				if strings.Contains(m.NoticeURL, "?") {
					sep = "&"
				}
				jobs = append(jobs, job{payment: p.ID, index: i, url: m.NoticeURL + sep + p.notice(n, m.Secret)})
			}
			break
		}
	}
	return jobs, next
}

// send returns the merchant's RspCode, "http" and the status, or "none".
func (b *Bank) send(ctx context.Context, address string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "none"
	}
	client := *b.opt.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return "none"
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "http " + strconv.Itoa(resp.StatusCode)
	}
	var answer struct{ RspCode string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 4<<10)).Decode(&answer); err != nil || len(answer.RspCode) != 2 {
		return "none"
	}
	return answer.RspCode
}

// maxPause bounds the pause between two attempts.
const maxPause = 5 * time.Minute

// liesRepeated is how often a lie is told: it will not become true.
const liesRepeated = 3

func (b *Bank) noteAnswer(ctx context.Context, j job, answer string) {
	_, err := b.change(j.payment, func(p *Payment) error {
		n := &p.Notices[j.index]
		n.Attempts++
		n.Answer = answer
		most := b.opt.MaxAttempts
		if n.Lie != "" {
			most = min(most, liesRepeated)
		}
		n.Over = answer == "00" || answer == "02" || n.Attempts >= most
		n.Due = b.now().Add(min(time.Duration(n.Attempts)*b.opt.RetryEvery, maxPause))
		return nil
	})
	if err != nil {
		b.opt.Log.LogAttrs(ctx, slog.LevelError, "notice not recorded", slog.Any("error", err))
		return
	}
	b.opt.Log.LogAttrs(ctx, slog.LevelInfo, "notice sent", slog.String("answer", answer))
}
