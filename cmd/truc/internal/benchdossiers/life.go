package benchdossiers

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"truc/internal/reqctx"
	"truc/internal/services"
	"truc/internal/services/bundle"
)

// steps are the actions of a dossier's life, in order. After "receive" the flow itself adds the start of work.
var steps = []string{"submit", "receive", "check", "pay", "propose", "sign", "return"}

// life is one dossier from filing to return.
type life struct {
	n      *node
	number string
	filing string
	person string
	paper  []byte
}

func officer(role string) reqctx.Principal {
	name := map[string]string{"reception": "Lê Thị Tiếp Nhận", "officer": "Trần Văn Thụ Lý", "head": "Phạm Thị Lãnh Đạo"}[role]
	return reqctx.Principal{Kind: reqctx.Officer, ID: role + ".bench", Name: name, Agency: unit, Roles: []string{role}}
}

func (l *life) step(ctx context.Context, name string) error {
	switch name {
	case "submit":
		return l.submit(ctx)
	case "receive":
		in := services.ActionInput{Action: "receive"}
		if len(l.paper) > 0 {
			in.Papers = []services.PaperJudgement{{Paper: "giay-to-tuy-than", OK: true}}
		}
		return l.n.desk.Act(ctx, officer("reception"), l.number, in)
	case "check":
		return l.check(ctx)
	case "pay":
		return l.n.desk.Receive(ctx, services.Message{ID: "pay-" + l.filing, FilingID: l.filing, Kind: "payment", At: l.n.now(), Payment: &services.PaymentFact{
			Reference: "P" + l.filing, Provider: "bench", Amount: 16_000, PaidAt: l.n.now(),
		}})
	case "propose":
		form := url.Values{"opinion": {"Đủ điều kiện cấp bản sao trích lục theo Cơ sở dữ liệu hộ tịch điện tử."}}
		return l.n.desk.Act(ctx, officer("officer"), l.number, services.ActionInput{Action: "propose", Form: form})
	case "sign":
		return l.n.desk.Act(ctx, officer("head"), l.number, services.ActionInput{Action: "sign"})
	case "return":
		return l.n.desk.Act(ctx, officer("reception"), l.number, services.ActionInput{Action: "deliver", Channel: "counter"})
	}
	return fmt.Errorf("no step %q", name)
}

func (l *life) submit(ctx context.Context) error {
	now := l.n.now()
	name := "Nguyễn Hữu Đặng Thuỷ Quỳnh"
	source := func(ptr, field, value string) services.Prefilled {
		return services.Prefilled{Pointer: ptr, Value: value, Group: "person", Source: "population/person#" + field, At: now, Status: services.PrefillOK}
	}
	residence := "12 đường Thử Nghiệm, phường Mẫu, tỉnh Lâm Đồng"
	sub := services.Submission{
		FilingID: l.filing, Procedure: l.n.proc.Code, VersionHash: l.n.proc.Hash, Agency: unit, Channel: "online", SubmittedAt: now, Lang: "vi",
		Applicant: services.Applicant{PersonalID: l.person, FullName: name, BirthDate: "2004-02-29", Phone: "0900000000", Email: "quynh@example.vn", Address: residence, Level: 2},
		Answers: bundle.Answers{
			"requester": map[string]any{"fullName": name, "birthDate": "2004-02-29", "personalId": l.person, "residence": residence},
			"submitter": map[string]any{"relation": "self"},
			"event":     map[string]any{"kind": "birth", "year": int64(2004)},
			"copies":    int64(2),
			"delivery":  map[string]any{"method": "counter"},
			"contact":   map[string]any{"phone": "0900000000", "email": "quynh@example.vn"}, "declaration": true,
		},
		Prefilled: []services.Prefilled{
			source("/requester/fullName", "fullName", name), source("/requester/birthDate", "birthDate", "2004-02-29"),
			source("/requester/personalId", "personalId", l.person), source("/requester/residence", "permanentResidence.full", residence),
		},
	}
	if len(l.paper) > 0 {
		copy(l.paper, l.filing) // the same bytes twice would be kept once
		sha, err := l.n.desk.PutPaper(ctx, "image/jpeg", l.paper)
		if err != nil {
			return err
		}
		sub.Papers = []services.PaperRef{{
			ID: "giay-to-tuy-than", Name: "Giấy tờ tùy thân của người đề nghị", File: "can-cuoc.jpg", SHA256: sha, Size: int64(len(l.paper)), Media: "image/jpeg", Provenance: "uploaded",
		}}
	}
	ack, err := l.n.desk.Submit(ctx, sub)
	l.number = ack.Number
	return err
}

func (l *life) check(ctx context.Context) error {
	got, err := l.n.desk.CheckRegister(ctx, officer("officer"), l.number, services.RegisterQuery{
		Register: "civilstatus/event", Type: "ByPersonalId", Criteria: map[string]string{"personalId": l.person},
		Fields: []string{"kind", "registrationNumber", "book", "registeredOn", "place.office", "subject.fullName", "subject.birthDate", "subject.sex", "subject.nationality"},
	})
	if err == nil && got.Found != 1 {
		return fmt.Errorf("the register found %d records", got.Found)
	}
	return err
}

// live drives the dossiers through their lives, with so many workers side by side, and returns how long each step of
// each dossier took. The first error ends the run: a benchmark of failures measures nothing.
func (n *node) live(ctx context.Context, opt Options) (map[string][]time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan int)
	took := map[string][]time.Duration{}
	var mu sync.Mutex // guards took
	var wg sync.WaitGroup
	for range opt.Workers {
		wg.Go(func() {
			mine := map[string][]time.Duration{}
			paper := randomBytes(opt.Paper)
			for i := range work {
				l := &life{n: n, filing: fmt.Sprintf("F-bench-%08d", i), person: fmt.Sprintf("099304%06d", i%1_000_000), paper: paper}
				for _, s := range steps {
					start := opt.Now()
					if err := l.step(ctx, s); err != nil {
						cancel(fmt.Errorf("dossier %d: %s: %w", i, s, err))
						return
					}
					mine[s] = append(mine[s], opt.Now().Sub(start))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for s, d := range mine {
				took[s] = append(took[s], d...)
			}
		})
	}
	for i := range opt.N {
		select {
		case work <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(work)
	wg.Wait()
	return took, context.Cause(ctx)
}
