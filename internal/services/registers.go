package services

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	"truc/internal/errs"
)

// Processing activities under which this module reads registers; the registers' owners have registered them.
const (
	ActivityPrefill = "prefill"
	ActivityVerify  = "verify-dossier"
	ActivitySelf    = "usage-self"
)

// BasisPrefill is the legal basis of filling in a form with what the state knows.
const BasisPrefill = "Điều 15 Nghị định 224/2026/NĐ-CP"

// Purpose says why a register is read; a read without one is refused by the register.
type Purpose struct{ Activity, Basis, Dossier string }

// RegisterQuery is a question to a register.
type RegisterQuery struct {
	// Register is "population/person" or "civilstatus/event".
	Register string
	// Type names the query, such as "ByPersonalId"; Criteria are its attributes.
	Type     string
	Criteria map[string]string
	// Fields are the values asked for; only those are delivered.
	Fields  []string
	Purpose Purpose
	// UserID is the person on whose behalf the citizen's portal asks.
	UserID  string
	Timeout time.Duration
}

// Registers asks registers over the exchange.
type Registers struct {
	Exchange Exchange
	// From is the calling subsystem.
	From string
	// Services maps "population/person" to the identifier of the service.
	Services map[string]string
	Now      func() time.Time
}

// Ask returns what the register answered. errs.Unavailable means that it did not answer.
func (r *Registers) Ask(ctx context.Context, q RegisterQuery) (check RegisterCheck, err error) {
	service, ok := r.Services[q.Register]
	if !ok {
		return check, errs.E(errs.Unavailable, "services.register.not_configured", nil, "register", q.Register)
	}
	body := map[string]any{
		"type": q.Type, "fields": q.Fields,
		"context": map[string]string{"activity": q.Purpose.Activity, "basis": q.Purpose.Basis, "dossier": q.Purpose.Dossier},
	}
	for k, v := range q.Criteria {
		body[k] = v
	}
	b, err := json.Marshal(body)
	if err != nil {
		return check, err
	}
	timeout := q.Timeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	answer, err := r.Exchange.Call(ctx, ExchangeCall{
		From: r.From, To: service, Method: "POST", Path: "/query", ContentType: "application/json", Body: b, UserID: q.UserID,
		Activity: q.Purpose.Activity, Basis: q.Purpose.Basis, Dossier: q.Purpose.Dossier, Timeout: timeout,
	})
	if err != nil {
		return check, err
	}
	check = RegisterCheck{Register: q.Register, Source: service, At: r.Now(), Exchange: answer.ID}
	if answer.Status != 200 {
		return check, answerError(answer)
	}
	var reply struct {
		Records []map[string]any `json:"records"`
	}
	if err := json.Unmarshal(answer.Body, &reply); err != nil {
		return check, errs.E(errs.Unavailable, "services.register.garbled", err, "register", q.Register)
	}
	check.Found = len(reply.Records)
	if check.Found == 1 {
		check.Facts = flatten(reply.Records[0])
	}
	return check, nil
}

// answerError turns a refusal of the other side into our error: its kind and its message key, when it sent one.
func answerError(a ExchangeAnswer) error {
	var problem struct {
		Code   string `json:"code"`
		Title  string `json:"title"`
		Detail string `json:"detail"`
	}
	_ = json.Unmarshal(a.Body, &problem) // a body that is no problem document leaves the fields empty
	kind := errs.KindOfStatus(a.Status)
	key := problem.Code
	if !strings.Contains(key, ".") || strings.ContainsAny(key, " <>") {
		key = "services.register.refused"
	}
	return errs.E(kind, key, fmt.Errorf("status %d: %.200s", a.Status, problem.Code))
}

// flatten makes {"residence":{"permanent":"…"}} into {"residence.permanent":"…"}.
func flatten(m map[string]any) map[string]string {
	out := map[string]string{}
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		switch v := v.(type) {
		case map[string]any:
			keys := make([]string, 0, len(v))
			for k := range v {
				keys = append(keys, k)
			}
			sort.Strings(keys)
			for _, k := range keys {
				p := k
				if prefix != "" {
					p = prefix + "." + k
				}
				walk(p, v[k])
			}
		case []any:
			parts := make([]string, len(v))
			for i, x := range v {
				parts[i] = fmt.Sprint(x)
			}
			out[prefix] = strings.Join(parts, ", ")
		case nil:
		default:
			out[prefix] = fmt.Sprint(v)
		}
	}
	walk("", m)
	return out
}
