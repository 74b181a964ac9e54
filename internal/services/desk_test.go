package services_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/services"
	"truc/internal/services/servicestest"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/procedures"
)

var (
	reception = servicestest.Officer("tiepnhan", "Phạm Thị Ánh Nguyệt", "reception")
	officer   = servicestest.Officer("thuly", "Đặng Ngọc Ẩn", "officer")
	head      = servicestest.Officer("lanhdao", "Ksor H’Nhẫn", "head")
)

// on runs a test with a desk on every engine.
func on(t *testing.T, f func(t *testing.T, d *servicestest.Env)) {
	t.Helper()
	storagetest.Each(t, func(t *testing.T, db *storage.DB) { f(t, servicestest.NewDesk(t, db)) })
}

func submit(t *testing.T, d *servicestest.Env, filing string) string {
	t.Helper()
	ack, err := d.Submit(t.Context(), d.Submission(t, filing))
	if err != nil {
		t.Fatalf("Submit: %v", err)
	}
	return ack.Number
}

func act(t *testing.T, d *servicestest.Env, who reqctx.Principal, number string, in services.ActionInput) {
	t.Helper()
	if err := d.Act(t.Context(), who, number, in); err != nil {
		t.Fatalf("Act(%s): %v", in.Action, err)
	}
}

func stored(t *testing.T, d *servicestest.Env, number string) services.StoredDossier {
	t.Helper()
	s, err := d.Store.Find(t.Context(), number)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantKind(t *testing.T, what string, err error, kind errs.Kind, key string) {
	t.Helper()
	if got, _ := errs.KeyOf(err); !errs.Is(err, kind) || key != "" && got != key {
		t.Errorf("%s = %v (%v); want %v %s", what, err, errs.KindOf(err), kind, key)
	}
}

var (
	supplement = services.ActionInput{Action: "askMore", Form: url.Values{"reason": {"Cần ảnh chụp đủ hai mặt giấy tờ."}}}
	propose    = services.ActionInput{Action: "propose", Form: url.Values{"opinion": {"Đủ điều kiện, đề nghị ký."}}}
	civil      = services.RegisterQuery{Register: "civilstatus/event", Type: "ByPersonAndKind", Criteria: map[string]string{"personalId": "099304000123", "kind": "birth", "fullName": servicestest.LongName}, Fields: []string{"kind"}}
)

func pay(t *testing.T, d *servicestest.Env, filing string, amount int64) {
	t.Helper()
	err := d.Receive(t.Context(), services.Message{ID: "pay-" + filing, FilingID: filing, Kind: "payment", Payment: &services.PaymentFact{Reference: "P-" + filing, Provider: "Ngân hàng Mẫu", Amount: amount, PaidAt: d.Now()}})
	if err != nil {
		t.Fatalf("Receive(payment): %v", err)
	}
}

func TestNumbersAreConsecutive(t *testing.T) {
	on(t, func(t *testing.T, d *servicestest.Env) {
		const n = 200
		subs := make([]services.Submission, n)
		for i := range subs {
			subs[i] = d.Submission(t, fmt.Sprintf("filing-%03d", i))
		}
		numbers := make([]string, n)
		var wg sync.WaitGroup
		slots := make(chan struct{}, 16)
		for i := range subs {
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				ack, err := d.Submit(t.Context(), subs[i])
				if err != nil {
					t.Errorf("Submit %d: %v", i, err)
				}
				numbers[i] = ack.Number
			})
		}
		wg.Wait()
		slices.Sort(numbers)
		for i, got := range numbers {
			if want := fmt.Sprintf("H36.14-260605-%04d", i+1); got != want {
				t.Fatalf("number %d = %q; want %q", i+1, got, want)
			}
		}
		again, err := d.Submit(t.Context(), subs[0])
		if err != nil || !slices.Contains(numbers, again.Number) {
			t.Errorf("Submit of a known filing = %q, %v; want its first number", again.Number, err)
		}
	})
}

func TestEventsAreAppendOnly(t *testing.T) {
	on(t, func(t *testing.T, d *servicestest.Env) {
		number := submit(t, d, "f1")
		for _, text := range []string{
			`UPDATE services_dossier_event SET type = 'signed'`,
			`DELETE FROM services_dossier_event`,
		} {
			err := d.DB.InTx(t.Context(), func(tx *storage.Tx) error { _, err := tx.ExecContext(t.Context(), text); return err })
			if err == nil {
				t.Errorf("%s was allowed; want a refusal", text)
			}
		}
		if err := services.VerifyChain(stored(t, d, number).Events); err != nil {
			t.Errorf("VerifyChain: %v", err)
		}
	})
}

// TestWholeLife walks a dossier from the counter to the signature and compares, after every step, what lists show with
// the fold of the events.
func TestWholeLife(t *testing.T) {
	on(t, func(t *testing.T, d *servicestest.Env) {
		d.Exchange.Answer = servicestest.Birth
		number := submit(t, d, "f1")
		check := func(step, state string) {
			t.Helper()
			s := stored(t, d, number)
			if err := services.VerifyChain(s.Events); err != nil {
				t.Errorf("%s: %v", step, err)
			}
			v, err := d.View(t.Context(), officer, number, "vi")
			if err != nil {
				t.Fatalf("%s: View: %v", step, err)
			}
			row := stored(t, d, number).Row
			if row.State != state || v.State != state {
				t.Errorf("%s: state = row %q, fold %q; want %q", step, row.State, v.State, state)
			}
			got := services.Row{State: v.State, Finance: v.Finance, Delivery: v.Delivery, Assignee: v.Assignee, ReceivedAt: v.ReceivedAt, Due: v.Due, PausedSince: v.PausedSince, FinishedAt: v.FinishedAt, ReturnedAt: v.ReturnedAt, Final: v.Final, Version: v.Version}
			want := services.Row{State: row.State, Finance: row.Finance, Delivery: row.Delivery, Assignee: row.Assignee, ReceivedAt: row.ReceivedAt, Due: row.Due, PausedSince: row.PausedSince, FinishedAt: row.FinishedAt, ReturnedAt: row.ReturnedAt, Final: row.Final, Version: row.Version}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: fold differs from the projection (-row +fold):\n%s", step, diff)
			}
		}
		check("submitted", "submitted")

		wantKind(t, "check before reception", second(d.CheckRegister(t.Context(), officer, number, civil)), errs.Conflict, "services.check.not_open")
		act(t, d, reception, number, services.ActionInput{Action: "receive"})
		check("received", "processing")
		act(t, d, officer, number, supplement)
		check("asked", "waiting")
		wantKind(t, "propose while waiting", d.Act(t.Context(), officer, number, propose), errs.Conflict, "bundle.action.notFrom")
		if err := d.Receive(t.Context(), services.Message{ID: "m1", FilingID: "f1", Kind: "supplement"}); err != nil {
			t.Fatal(err)
		}
		check("supplemented", "processing")
		pay(t, d, "f1", 16000)
		wantKind(t, "propose without the record", d.Act(t.Context(), officer, number, propose), errs.Conflict, "services.sign.no_record")
		if c, err := d.CheckRegister(t.Context(), officer, number, civil); err != nil || c.Found != 1 {
			t.Fatalf("CheckRegister = %+v, %v", c, err)
		}
		act(t, d, officer, number, propose)
		check("proposed", "signing")
		wantKind(t, "send back without a reason", d.Act(t.Context(), head, number, services.ActionInput{Action: "sendBack"}), errs.Invalid, "services.action.needs_reason")
		act(t, d, head, number, services.ActionInput{Action: "sendBack", Reason: "Sửa ngày đăng ký."})
		check("sent back", "processing")
		act(t, d, officer, number, propose)
		wantKind(t, "sign by the officer", d.Act(t.Context(), officer, number, services.ActionInput{Action: "sign"}), errs.Denied, "services.action.other_role")
		act(t, d, head, number, services.ActionInput{Action: "sign"})
		check("signed", "done")
		act(t, d, reception, number, services.ActionInput{Action: "deliver", Channel: "counter"})
		check("delivered", "returned")

		facts, err := d.Store.Facts(t.Context(), 0, 1000)
		if err != nil || len(facts) == 0 {
			t.Fatalf("Facts = %d, %v", len(facts), err)
		}
		for i, f := range facts {
			if f.Kind == string(services.EvOpened) {
				t.Errorf("fact %d tells that somebody read a dossier", i)
			}
			if i > 0 && f.Seq <= facts[i-1].Seq {
				t.Errorf("fact %d has number %d after %d", i, f.Seq, facts[i-1].Seq)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

// TestNoticesAreFitForTheApplicant: what officers write to each other stays at the desk.
func TestNoticesAreFitForTheApplicant(t *testing.T) {
	d := servicestest.NewDesk(t, storagetest.OpenSQLite(t))
	d.Exchange.Answer = servicestest.Birth
	number := submit(t, d, "f1")
	act(t, d, reception, number, services.ActionInput{Action: "receive"})
	pay(t, d, "f1", 16000)
	if _, err := d.CheckRegister(t.Context(), officer, number, civil); err != nil {
		t.Fatal(err)
	}
	act(t, d, officer, number, propose)
	act(t, d, head, number, services.ActionInput{Action: "sendBack", Reason: "Bí mật nội bộ"})
	rows, err := d.DB.QueryContext(t.Context(), `SELECT payload FROM outbox_message`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			t.Fatal(err)
		}
		n++
		for _, secret := range []string{"Bí mật nội bộ", "đề nghị ký", "registrationNumber", "thuly"} {
			if strings.Contains(string(b), secret) {
				t.Errorf("a notice holds %q: %s", secret, b)
			}
		}
	}
	if n < 5 {
		t.Errorf("%d messages in the outbox; want one for each event", n)
	}
}

func TestClockStandsStillWhileWaiting(t *testing.T) {
	on(t, func(t *testing.T, d *servicestest.Env) {
		number := submit(t, d, "f1")
		act(t, d, reception, number, services.ActionInput{Action: "receive"}) // Friday 5 June 09:00, one working day
		due := func() string { return stored(t, d, number).Row.Due.In(i18n.Zone).Format("2006-01-02 15:04") }
		if got := due(); got != "2026-06-08 17:30" {
			t.Errorf("due = %s; want Monday 17:30", got)
		}
		d.Clock.Set(8, 10, 0)
		act(t, d, officer, number, supplement)
		d.Clock.Set(10, 9, 0)
		if err := d.Receive(t.Context(), services.Message{ID: "m1", FilingID: "f1", Kind: "supplement"}); err != nil {
			t.Fatal(err)
		}
		if got := due(); got != "2026-06-10 17:30" {
			t.Errorf("due after two days of waiting = %s; want Wednesday 17:30", got)
		}
		if err := d.Receive(t.Context(), services.Message{ID: "m1", FilingID: "f1", Kind: "supplement"}); err != nil {
			t.Errorf("the same message again: %v; want nothing to happen", err)
		}
		if got := len(stored(t, d, number).Events); got != 6 {
			t.Errorf("%d events; want submitted, slip, received, moved, asked, supplied and no other", got)
		}
	})
}

func TestExtensionLimits(t *testing.T) {
	on(t, func(t *testing.T, d *servicestest.Env) {
		number := submit(t, d, "f1")
		act(t, d, reception, number, services.ActionInput{Action: "receive"})
		extend := func(amount int, unit, reason string) error {
			return d.Act(t.Context(), head, number, services.ActionInput{Action: "extend", Reason: reason, Extension: services.SLAAmount{Amount: amount, Unit: unit}})
		}
		wantKind(t, "extend without a reason", extend(1, "workingDays", " "), errs.Invalid, "services.action.needs_reason")
		wantKind(t, "extend too far", extend(2, "workingDays", "Chờ xác minh"), errs.Invalid, "services.extend.too_far")
		wantKind(t, "extend in another unit", extend(1, "months", "Chờ xác minh"), errs.Invalid, "services.extend.too_far")
		wantKind(t, "extend backwards", extend(-1, "workingDays", "Chờ xác minh"), errs.Invalid, "services.extend.too_far")
		if err := extend(1, "workingDays", "Chờ xác minh"); err != nil {
			t.Fatal(err)
		}
		if got := stored(t, d, number).Row.Due.In(i18n.Zone).Format("2006-01-02 15:04"); got != "2026-06-09 17:30" {
			t.Errorf("due = %s; want Tuesday 17:30", got)
		}
		last := stored(t, d, number).Events
		e := last[len(last)-1]
		if e.Data.OldDue == nil || e.Data.NewDue == nil || e.Data.Document == nil || e.Data.Document.Kind != services.DocApology {
			t.Errorf("extension event = %+v; want old and new due date and the letter", e.Data)
		}
		wantKind(t, "a second extension", extend(1, "workingDays", "Lại chờ"), errs.Conflict, "services.action.blocked")
	})
}

// newVersion is the shipped bundle with one thing changed: one copy costs more and takes longer.
func newVersion(t *testing.T) fs.FS {
	t.Helper()
	src, err := fs.Sub(procedures.FS, servicestest.Extract)
	if err != nil {
		t.Fatal(err)
	}
	out := fstest.MapFS{}
	err = fs.WalkDir(src, ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasPrefix(p, "tests/") {
			return err
		}
		b, err := fs.ReadFile(src, p)
		text := strings.ReplaceAll(string(b), `id: "2026.2", supersedes: "2026.1"`, `id: "2026.3", supersedes: "2026.2"`)
		text = strings.ReplaceAll(text, `legal: {amount: 1, unit: workingDays`, `legal: {amount: 9, unit: workingDays`)
		out[p] = &fstest.MapFile{Data: []byte(text)}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// The procedure's own cases state the old time limit; one of them is kept, without it.
	b, err := fs.ReadFile(src, "tests/01-tu-xin-truc-tuyen.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out["tests/01.yaml"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(string(b), "due: 2026-06-08 17:30", "due: 2026-06-18 17:30"))}
	return out
}

func TestDossierKeepsItsVersion(t *testing.T) {
	on(t, func(t *testing.T, d *servicestest.Env) {
		old := submit(t, d, "f1")
		oldHash := d.Library.Current(servicestest.Extract).Hash
		p, problems, err := d.Library.Publish(t.Context(), newVersion(t), "test")
		if err != nil || !problems.OK() {
			t.Fatalf("Publish: %v %v", err, problems)
		}
		if p.Hash == oldHash {
			t.Fatal("the new version has the hash of the old one")
		}
		fresh := submit(t, d, "f2")
		for _, n := range []string{old, fresh} {
			act(t, d, reception, n, services.ActionInput{Action: "receive"})
		}
		if got := stored(t, d, old).Row.Due.In(i18n.Zone).Format(time.DateOnly); got != "2026-06-08" {
			t.Errorf("old dossier is due %s; want the term it was filed under, 2026-06-08", got)
		}
		if got := stored(t, d, fresh).Row.Due.In(i18n.Zone).Format(time.DateOnly); got != "2026-06-18" {
			t.Errorf("new dossier is due %s; want 2026-06-18", got)
		}
		// A node that starts again knows both.
		again := &services.Library{Store: d.Library.Store, Now: d.Now}
		if err := again.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if again.At(oldHash) == nil || again.Current(servicestest.Extract).Hash != p.Hash {
			t.Errorf("after a restart: old known %v, current %v", again.At(oldHash) != nil, again.Current(servicestest.Extract).Version)
		}
	})
}

func TestOptimisticLock(t *testing.T) {
	on(t, func(t *testing.T, d *servicestest.Env) {
		number := submit(t, d, "f1")
		v, err := d.View(t.Context(), reception, number, "vi")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.View(t.Context(), head, number, "vi"); err != nil { // a reader is not in the way
			t.Fatal(err)
		}
		act(t, d, reception, number, services.ActionInput{Action: "receive", Version: v.Version})
		err = d.Act(t.Context(), officer, number, services.ActionInput{Action: "askMore", Version: v.Version, Form: supplement.Form})
		wantKind(t, "act on a stale version", err, errs.Conflict, "services.dossier.changed")
	})
}

func TestRefusals(t *testing.T) {
	on(t, func(t *testing.T, d *servicestest.Env) {
		number := submit(t, d, "f1")
		other := officer
		other.Agency = servicestest.Other
		citizen := reqctx.Principal{Kind: reqctx.Citizen, ID: "099304000123", Agency: "H36.14", Roles: []string{"officer"}}
		for _, who := range []reqctx.Principal{other, citizen, {}, {Kind: reqctx.Officer, ID: "x", Roles: []string{"officer"}}, servicestestUnit("H36.1")} {
			_, err := d.View(t.Context(), who, number, "vi")
			wantKind(t, "View by "+who.Agency, err, errs.Denied, "services.dossier.other_unit")
			wantKind(t, "Act by "+who.Agency, d.Act(t.Context(), who, number, supplement), errs.Denied, "")
		}
		above := officer
		above.Agency = "H36"
		if _, err := d.View(t.Context(), above, number, "vi"); err != nil {
			t.Errorf("View by the agency above: %v", err)
		}
		wantKind(t, "unknown action", d.Act(t.Context(), reception, number, services.ActionInput{Action: "'; DROP TABLE"}), errs.NotFound, "services.action.unknown")
		wantKind(t, "unknown dossier", d.Act(t.Context(), reception, "H36.14-260605-9999", supplement), errs.NotFound, "")
		wantKind(t, "message to a number", d.Receive(t.Context(), services.Message{ID: "m", FilingID: number, Kind: "withdraw"}), errs.NotFound, "")
		stolen := d.Submission(t, number)
		wantKind(t, "filing id that is a number", second(d.Submit(t.Context(), stolen)), errs.Invalid, "")

		d.Audit.Fail = errors.New("disk full")
		if err := d.Act(t.Context(), reception, number, services.ActionInput{Action: "receive"}); err == nil {
			t.Error("an act that cannot be audited was done")
		}
		if got := stored(t, d, number).Row.State; got != "submitted" {
			t.Errorf("state = %s after the audit log failed; want submitted", got)
		}
	})
}

func servicestestUnit(code string) reqctx.Principal {
	p := servicestest.Officer("x", "X", "officer")
	p.Agency = code
	return p
}

func TestSubmissionsAreChecked(t *testing.T) {
	d := servicestest.NewDesk(t, storagetest.OpenSQLite(t))
	for _, c := range []struct {
		name  string
		spoil func(s *services.Submission)
		kind  errs.Kind
	}{
		{"no applicant", func(s *services.Submission) { s.Applicant.FullName = "" }, errs.Invalid},
		{"unknown unit", func(s *services.Submission) { s.Agency = "H57.1" }, errs.NotFound},
		{"unknown version", func(s *services.Submission) { s.VersionHash = "00" }, errs.Conflict},
		{"missing paper", func(s *services.Submission) { s.Prefilled = nil }, errs.Invalid},
		{"paper without bytes", func(s *services.Submission) {
			s.Papers = []services.PaperRef{{ID: "giay-to-tuy-than", Name: "x", SHA256: strings.Repeat("0", 64)}}
		}, errs.Invalid},
		{"bad answer", func(s *services.Submission) { s.Answers.Set("/copies", int64(500)) }, errs.Invalid},
		{"answer nobody asked for", func(s *services.Submission) { s.Answers.Set("/admin", "yes") }, errs.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			sub := d.Submission(t, "f-"+c.name)
			c.spoil(&sub)
			_, err := d.Submit(t.Context(), sub)
			wantKind(t, "Submit", err, c.kind, "")
		})
	}
	t.Run("fee is computed here", func(t *testing.T) {
		sub := d.Submission(t, "f-fee")
		sub.Fee = services.FeeSnapshot{Total: 1}
		ack, err := d.Submit(t.Context(), sub)
		if err != nil {
			t.Fatal(err)
		}
		if got := stored(t, d, ack.Number).Submission.Fee.Total; got != 16000 {
			t.Errorf("fee = %d; want 16000", got)
		}
	})
}

// TestPapersFoundWanting: a dossier with a paper that is not good is not received.
func TestPapersFoundWanting(t *testing.T) {
	d := servicestest.NewDesk(t, storagetest.OpenSQLite(t))
	ack, err := d.Submit(t.Context(), d.WithPaper(t, d.Submission(t, "f1"), "image/jpeg", []byte("\xff\xd8\xff\xe0 picture")))
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, "receive unjudged", d.Act(t.Context(), reception, ack.Number, services.ActionInput{Action: "receive"}), errs.Conflict, "bundle.action.papersNotJudged")
	bad := services.ActionInput{Action: "receive", Papers: []services.PaperJudgement{{Paper: "giay-to-tuy-than", Note: "Mờ"}}}
	wantKind(t, "receive with a bad paper", d.Act(t.Context(), reception, ack.Number, bad), errs.Invalid, "bundle.action.papersMissing")
	hostile := services.ActionInput{Action: "receive", Papers: []services.PaperJudgement{
		{Paper: "giay-to-tuy-than", Name: "\xff<script>", OK: true, Note: "\xff\x00"}, {Paper: "giay-to-tuy-than"}, {Paper: "../../etc", Name: "x"},
	}}
	act(t, d, reception, ack.Number, hostile)
	s := stored(t, d, ack.Number)
	if err := services.VerifyChain(s.Events); err != nil {
		t.Errorf("VerifyChain: %v", err)
	}
	for _, e := range s.Events {
		if e.Type == services.EvReceived {
			want := []services.PaperJudgement{{Paper: "giay-to-tuy-than", Name: "Giấy tờ tùy thân của người đề nghị", OK: true}}
			if diff := cmp.Diff(want, e.Data.Papers); diff != "" {
				t.Errorf("judgements (-want +got):\n%s", diff)
			}
		}
	}
}

func TestWorklist(t *testing.T) {
	on(t, func(t *testing.T, d *servicestest.Env) {
		var numbers []string
		for i := range 5 {
			numbers = append(numbers, submit(t, d, fmt.Sprintf("f%d", i)))
		}
		act(t, d, reception, numbers[0], services.ActionInput{Action: "receive"})
		act(t, d, reception, numbers[1], services.ActionInput{Action: "receive"})
		act(t, d, officer, numbers[1], supplement)
		list := func(f services.Filter) (out []string) {
			t.Helper()
			w, err := d.Worklist(t.Context(), officer, f, "vi")
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range w.Rows {
				out = append(out, r.Number)
			}
			return out
		}
		if got := list(services.Filter{Query: "quynh thuy"}); len(got) != 5 {
			t.Errorf("search without accents found %d; want 5", len(got))
		}
		if got := list(services.Filter{Query: numbers[2]}); !cmp.Equal(got, numbers[2:3]) {
			t.Errorf("search by number = %v", got)
		}
		if got := list(services.Filter{Query: "%"}); len(got) != 0 {
			t.Errorf("a percent sign found %v; want it taken as a letter", got)
		}
		if got := list(services.Filter{Waiting: true}); !cmp.Equal(got, numbers[1:2]) {
			t.Errorf("waiting = %v; want %v", got, numbers[1:2])
		}
		if got := list(services.Filter{Assignee: "thuly"}); !cmp.Equal(got, numbers[1:2]) {
			t.Errorf("mine = %v; want the one I worked on", got)
		}
		d.Clock.Set(8, 16, 0)
		if got := list(services.Filter{DueFrom: d.Now(), DueBefore: d.SoonBefore(d.Now())}); !cmp.Equal(got, numbers[:1]) {
			t.Errorf("due soon = %v; want %v", got, numbers[:1])
		}
		d.Clock.Set(9, 9, 0)
		if got := list(services.Filter{Overdue: d.Now()}); !cmp.Equal(got, numbers[:1]) {
			t.Errorf("overdue = %v; want %v", got, numbers[:1])
		}
		var walked []string
		f := services.Filter{Limit: 2}
		for range 10 {
			w, err := d.Worklist(t.Context(), officer, f, "vi")
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range w.Rows {
				walked = append(walked, r.Number)
			}
			if !w.More {
				break
			}
			last := w.Rows[len(w.Rows)-1]
			f.AfterDue, f.AfterID = last.Due, last.ID
		}
		slices.Sort(walked)
		if !cmp.Equal(walked, numbers) {
			t.Errorf("paging shows %v; want each of %v once", walked, numbers)
		}
		w, err := d.Worklist(t.Context(), officer, services.Filter{}, "vi")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(services.Counters{ByState: map[string]int{"submitted": 3, "processing": 1, "waiting": 1}, Overdue: 1, Paused: 1}, w.Counters); diff != "" {
			t.Errorf("counters (-want +got):\n%s", diff)
		}
		_, err = d.Worklist(t.Context(), servicestestUnit("H57"), services.Filter{}, "vi")
		wantKind(t, "worklist of strangers", err, errs.Denied, "")
	})
}
