package services

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
)

// UsageSource is a register whose access log a citizen may look into.
type UsageSource struct {
	// Register is "population"; Name is shown; Service is the identifier of its usage service.
	Register string
	Name     string
	Service  string
}

// UsageLine is one reading of the person's data.
type UsageLine struct {
	LineID     string    `json:"lineId"`
	At         time.Time `json:"time"`
	Agency     string    `json:"agency"`
	AgencyName string    `json:"agencyName"`
	Subsystem  string    `json:"subsystem"`
	Activity   string    `json:"activity"`
	Purpose    string    `json:"purpose"`
	LegalBasis string    `json:"legalBasis"`
	Dossier    string    `json:"dossier"`
	Fields     []string  `json:"fields"`
	// Labels are the fields as people read them, in Vietnamese.
	Labels []string `json:"labels"`
	Kind   string   `json:"kind"`
}

// UsageReport is what one register said.
type UsageReport struct {
	Source UsageSource
	Lines  []UsageLine
	Total  int
	// Withheld lines are counted, with the day on which the last of them will be shown.
	Withheld      int
	WithheldUntil time.Time
	// Err is set when the register did not answer; the page says so instead of showing silence.
	Err error
}

// usageTimeout is how long the page waits for all registers together.
const usageTimeout = 3 * time.Second

// WhoReadMyData asks every register that keeps an access log, side by side. Nothing is kept at the portal.
func (p *Portal) WhoReadMyData(ctx context.Context, who reqctx.Principal) []UsageReport {
	out := make([]UsageReport, len(p.Usage))
	ctx, cancel := context.WithTimeout(ctx, usageTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for i, src := range p.Usage {
		wg.Go(func() { out[i] = p.askUsage(ctx, who, src) })
	}
	wg.Wait()
	return out
}

func (p *Portal) askUsage(ctx context.Context, who reqctx.Principal, src UsageSource) UsageReport {
	rep := UsageReport{Source: src}
	var reply struct {
		Lines    []UsageLine `json:"lines"`
		Total    int         `json:"total"`
		Withheld []struct {
			Count     int    `json:"count"`
			ReleaseOn string `json:"releaseOn"`
		} `json:"withheld"`
	}
	rep.Err = sendJSON(ctx, p.Exchange, p.usageCall(who, src, "/lines"), map[string]any{"subject": "VN" + who.ID, "limit": 200}, &reply)
	rep.Lines, rep.Total = reply.Lines, reply.Total
	for _, w := range reply.Withheld {
		rep.Withheld += w.Count
		if t, err := time.ParseInLocation(time.DateOnly, w.ReleaseOn, i18n.Zone); err == nil && t.After(rep.WithheldUntil) {
			rep.WithheldUntil = t
		}
	}
	return rep
}

func (p *Portal) usageCall(who reqctx.Principal, src UsageSource, path string) ExchangeCall {
	return ExchangeCall{
		From: portalSubsystem, To: src.Service, Method: http.MethodPost, Path: path, UserID: "VN" + who.ID,
		Activity: ActivitySelf, Basis: "Điều 4 Luật Bảo vệ dữ liệu cá nhân 91/2025/QH15", Timeout: usageTimeout,
	}
}

// UsageReceipt fetches the proof of one reading from the register that logged it.
func (p *Portal) UsageReceipt(ctx context.Context, who reqctx.Principal, register, line string) (content []byte, err error) {
	defer errs.Wrap(&err, "receipt")
	for _, src := range p.Usage {
		if src.Register != register {
			continue
		}
		call := p.usageCall(who, src, "/receipt")
		call.Timeout = 10 * time.Second
		b, err := json.Marshal(map[string]string{"subject": "VN" + who.ID, "lineId": line})
		if err != nil {
			return nil, err
		}
		call.Body, call.ContentType = b, "application/json"
		answer, err := p.Exchange.Call(ctx, call)
		if err != nil {
			return nil, err
		}
		if answer.Status != http.StatusOK {
			return nil, answerError(answer)
		}
		return answer.Body, nil
	}
	return nil, errs.E(errs.NotFound, "services.usage.no_register", nil)
}
