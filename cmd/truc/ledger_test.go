package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/cmd/truc/internal/demo"
	"truc/internal/audit"
	"truc/internal/audit/auditstore"
	"truc/internal/exchange"
	"truc/internal/exchange/exchangestore"
	"truc/internal/pki"
	"truc/internal/services"
	"truc/internal/services/servicesstore"
	"truc/internal/storage"
	"truc/internal/translog"
)

// checkLedgers reads the ledgers of a network that was stopped after the story.
func checkLedgers(t *testing.T, n *demo.Network, tale *demo.Tale) {
	t.Helper()
	dbs := map[string]*storage.DB{}
	for _, node := range n.Nodes() {
		db, err := storage.Open(t.Context(), n.DB(node), storage.Options{Readers: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		dbs[node] = db
	}
	filing, number := tale.Filing()
	checkDossier(t, dbs["H36"], dbs["G22"], filing, number)
	for node, unit := range map[string]string{"H36": "H36.14", "H57": "H57.14"} {
		checkNumbers(t, dbs[node], unit)
	}
	index := map[string][]exchange.Message{}
	for node, db := range dbs {
		index[node] = exchangeIndex(t, db)
	}
	checkExchanges(t, index)
	checkLogs(t, n)
	d, err := n.Describe()
	if err != nil {
		t.Fatal(err)
	}
	var people []string
	for _, c := range d.Accounts.Citizens {
		people = append(people, c.PersonalID)
	}
	for node, service := range map[string]string{"G01": "VN/GOV/G01/population/person", "G15": "VN/GOV/G15/civilstatus/event"} {
		checkAccessLog(t, n, node, service, dbs[node], people, index)
	}
}

// checkDossier compares the dossier at the desk with the filing at the portal.
func checkDossier(t *testing.T, deskDB, portalDB *storage.DB, filing, number string) {
	t.Helper()
	ctx := t.Context()
	desk := servicesstore.Desk{Store: &servicesstore.Store{DB: deskDB, Now: time.Now}}
	stored, err := desk.Find(ctx, filing)
	if err != nil {
		t.Fatalf("the dossier of the filing: %v", err)
	}
	if stored.Number != number || stored.Row.State != "returned" {
		t.Errorf("dossier %s is %s; want %s returned", stored.Number, stored.Row.State, number)
	}
	if err := services.VerifyChain(stored.Events); err != nil {
		t.Errorf("the chain of events: %v", err)
	}
	count := map[services.EventType]int{}
	type fact struct {
		Seq   int64
		Type  services.EventType
		State string
	}
	var told, public []fact
	for _, e := range stored.Events {
		count[e.Type]++
		if e.Type != services.EvOpened {
			public = append(public, fact{e.Seq, e.Type, e.To})
		}
	}
	for typ, want := range map[services.EventType]int{
		services.EvSubmitted: 1, services.EvReceived: 1, services.EvPaymentConfirmed: 1, services.EvSupplementRequested: 1, services.EvSupplementReceived: 1,
		services.EvProposed: 2, services.EvSentBack: 1, services.EvSigned: 1, services.EvDelivered: 1, services.EvRated: 1,
	} {
		if count[typ] != want {
			t.Errorf("%d events %s; want %d", count[typ], typ, want)
		}
	}
	portal := servicesstore.Portal{Store: &servicesstore.Store{DB: portalDB, Now: time.Now}}
	notices, err := portal.FilingEvents(ctx, filing)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range notices {
		told = append(told, fact{e.Seq, e.Type, e.State})
	}
	if diff := cmp.Diff(public, told); diff != "" {
		t.Errorf("the portal's history differs from the public events of the desk (-desk +portal):\n%s", diff)
	}
	payments, err := portal.Payments(ctx, filing)
	if err != nil {
		t.Fatal(err)
	}
	paid := int64(0)
	for _, p := range payments {
		if p.State == services.PayConfirmed {
			paid += p.Amount
		}
	}
	if want := stored.Submission.Fee.Total; paid != want || want == 0 {
		t.Errorf("%d đồng are confirmed at the portal; want %d once", paid, want)
	}
	same, err := desk.Similar(ctx, stored.Row.ApplicantID, stored.Row.Procedure, stored.ID, time.Time{})
	if err != nil || len(same) > 0 {
		t.Errorf("the same person has %d more dossiers, %v", len(same), err)
	}
}

// checkNumbers finds gaps and doubles in the numbers of a unit.
func checkNumbers(t *testing.T, db *storage.DB, unit string) {
	t.Helper()
	rows, err := servicesstore.Desk{Store: &servicesstore.Store{DB: db, Now: time.Now}}.List(t.Context(), services.Filter{Units: []string{unit}, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	days, filings := map[string][]string{}, map[string]bool{}
	for _, r := range rows {
		day, n := r.Number[:len(r.Number)-5], r.Number[len(r.Number)-4:]
		days[day] = append(days[day], n)
		if filings[r.FilingID] {
			t.Errorf("the filing %s has two dossiers", r.FilingID)
		}
		filings[r.FilingID] = true
	}
	if len(rows) == 0 {
		t.Errorf("%s has no dossiers", unit)
	}
	for day, numbers := range days {
		slices.Sort(numbers)
		for i, n := range numbers {
			if want := fmt.Sprintf("%04d", i+1); n != want {
				t.Errorf("numbers of %s are %v: a gap or a double at %s", day, numbers, n)
				break
			}
		}
	}
}

func exchangeIndex(t *testing.T, db *storage.DB) []exchange.Message {
	t.Helper()
	store := &exchangestore.Store{DB: db}
	var out []exchange.Message
	for f := (exchange.Filter{Limit: 500}); ; {
		page, err := store.Recent(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return out
		}
		out, f.Before = append(out, page...), page[len(page)-1].Seq
	}
}

// checkExchanges holds every answer that a consumer acknowledged against the provider's own log.
func checkExchanges(t *testing.T, index map[string][]exchange.Message) {
	t.Helper()
	provided := map[string]exchange.Message{}
	for node, list := range index {
		for _, m := range list {
			if m.Role == exchange.RoleProvider {
				provided[node+" "+m.RequestID] = m
			}
		}
	}
	agreed := 0
	for node, list := range index {
		for _, m := range list {
			if m.Role != exchange.RoleConsumer || m.Outcome != "ok" || m.ResponseIndex < 0 {
				continue
			}
			agreed++
			owner := strings.Split(m.Service, "/")[2]
			p, ok := provided[owner+" "+m.RequestID]
			if !ok {
				t.Errorf("%s has an answer of %s to %s %s that %s does not know", node, m.Service, m.Method, m.Path, owner)
				continue
			}
			if p.Status != m.Status || p.Outcome != m.Outcome || p.ExchangeID != m.ExchangeID || p.RequestSize != m.RequestSize || p.ResponseSize != m.ResponseSize || p.ResponseIndex < 0 {
				t.Errorf("%s and %s disagree about %s:\n%+v\n%+v", node, owner, m.RequestID, m, p)
			}
		}
	}
	if agreed < 10 {
		t.Errorf("only %d exchanges were acknowledged", agreed)
	}
}

// checkLogs holds every node's exchange log against every other's: whatever was acknowledged is in both, and they agree.
func checkLogs(t *testing.T, n *demo.Network) {
	t.Helper()
	acknowledged, nodes := 0, n.Nodes()
	for i, a := range nodes {
		for _, b := range nodes[i:] {
			var out safeBuffer
			err := run(t.Context(), []string{"evidence", "compare", filepath.Join(n.Dir(a), "data"), filepath.Join(n.Dir(b), "data")}, func(string) string { return "" }, &out, &out)
			if err != nil {
				t.Errorf("%s and %s: %v\n%s", a, b, err, out.String())
			}
			var count int
			if _, text, ok := strings.Cut(out.String(), ": "); ok {
				_, _ = fmt.Sscan(text, &count)
			}
			acknowledged += count
		}
	}
	if acknowledged < 10 {
		t.Errorf("only %d acknowledged exchanges are in the logs", acknowledged)
	}
}

// checkAccessLog proves every line of the people of the story, and that no acknowledged reading lacks its line.
func checkAccessLog(t *testing.T, n *demo.Network, node, service string, db *storage.DB, people []string, index map[string][]exchange.Message) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	data := filepath.Join(n.Dir(node), "data")
	key, err := pki.LoadOrCreateKey(filepath.Join(data, "keys", "audit-log.key"), pki.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	log, err := translog.Open(translog.Options{Dir: filepath.Join(data, "logs", "audit"), Origin: "truc/VN/GOV/" + node + "/node1/audit", Key: key.(ed25519.PrivateKey), Now: time.Now})
	if err != nil {
		t.Fatalf("the access log of %s: %v", node, err)
	}
	defer log.Close()
	svc := &audit.Service{Store: &auditstore.Store{DB: db}, Log: log, Keys: audit.FileKeys{Dir: filepath.Join(data, "keys", "epochs")}, Now: time.Now}
	if err := svc.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer svc.Close(ctx)
	lines := map[string]bool{}
	proved := 0
	for _, person := range people {
		list, total, err := svc.Usage(ctx, person, time.Time{}, time.Now().Add(time.Hour), 0, 500)
		if err != nil || total != len(list) {
			t.Fatalf("usage: %d of %d lines, %v", len(list), total, err)
		}
		for _, l := range list {
			lines[l.ExchangeID] = true
			receipt, err := svc.Receipt(ctx, person, l.LineID)
			if err != nil {
				t.Errorf("receipt: %v", err)
				continue
			}
			rep, err := audit.VerifyReceipt(receipt, audit.VerifyOptions{TrustedVKeys: []string{log.VerifierKey()}})
			if err != nil || !rep.KeyTrusted {
				t.Errorf("a line of %s does not prove: %v", node, err)
			}
			proved++
		}
	}
	if proved == 0 {
		t.Errorf("the access log of %s is empty", node)
	}
	for consumer, list := range index {
		for _, m := range list {
			if m.Role == exchange.RoleConsumer && m.Service == service && m.Outcome == "ok" && m.Status == 200 && !lines[m.ExchangeID] {
				t.Errorf("%s read %s (%s %s) without a line in the access log", consumer, service, m.Method, m.Path)
			}
		}
	}
}
