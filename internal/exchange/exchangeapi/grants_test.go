package exchangeapi

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/agreement"
	"truc/internal/exchange/exchangestore"
	"truc/internal/i18n"
	"truc/internal/orgcode"
	"truc/internal/outbox"
	"truc/internal/storage"
	"truc/internal/web"
	"truc/internal/web/manage"
	"truc/lang"
)

// SigningKey and Succeeds make the directory of the tests one for agreements.
func (n *testNet) SigningKey(id string) (agreement.Key, error) {
	k, err := n.Key(id)
	return agreement.Key{Public: k.Public, Member: k.ServerID[:max(0, strings.LastIndexByte(k.ServerID, '/'))], Revoked: k.Revoked}, err
}

func (n *testNet) Succeeds(newID, oldID string) bool { return newID == oldID }

func (n *testNet) keysOf(subsystem string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for id, k := range n.keys {
		if slices.Contains(n.subs[k.ServerID], subsystem) {
			out = append(out, id)
		}
	}
	return out
}

// post is a store that notes what is to be delivered, for the test to deliver when it likes.
type post struct {
	*exchangestore.AgreementStore
	mu      sync.Mutex // guards pending
	pending []exchange.AgreementDelivery
}

func (p *post) SaveAgreement(ctx context.Context, a *agreement.Agreement, add []agreement.Statement, deliver []exchange.AgreementDelivery) error {
	err := p.AgreementStore.SaveAgreement(ctx, a, add, deliver)
	if err == nil {
		p.mu.Lock()
		p.pending = append(p.pending, deliver...)
		p.mu.Unlock()
	}
	return err
}

// office is a node's desk for agreements.
type office struct {
	*exchange.Agreements
	post *post
	key  crypto.Signer // of its node
	mu   sync.Mutex    // guards acts
	acts []string
}

func (o *office) deliver(t *testing.T) {
	t.Helper()
	if err := o.tryDeliver(t); err != nil {
		t.Fatal(err)
	}
}

func (o *office) tryDeliver(t *testing.T) error {
	t.Helper()
	o.post.mu.Lock()
	todo := o.post.pending
	o.post.pending = nil
	o.post.mu.Unlock()
	for _, d := range todo {
		if err := o.Deliver(t.Context(), d); err != nil {
			return err
		}
	}
	return nil
}

func (n *testNet) office(t *testing.T, node *testNode, db *storage.DB, key crypto.Signer) *office {
	t.Helper()
	sub, err := fs.Sub(outbox.Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.Migrate(t.Context(), db, "outbox", sub, time.Now()); err != nil {
		t.Fatal(err)
	}
	o := &office{key: key, post: &post{AgreementStore: &exchangestore.AgreementStore{DB: db, Now: time.Now}}}
	o.Agreements = &exchange.Agreements{
		Service: node.Service, Store: o.post, Instance: "VN", Member: node.id[:strings.LastIndexByte(node.id, '/')], Keys: n, KeysOf: n.keysOf, Center: func() string { return "VN/GOV/G22" }, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Audit: func(_ context.Context, actor, action, _ string) error {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.acts = append(o.acts, actor+" "+action)
			return nil
		},
	}
	node.Reserve(exchange.ServiceAgreements, o.Agreements)
	return o
}

// parties is a pair with desks for agreements, where the provider's service population/person, or all of the consumer's
// calls, need a grant.
type parties struct {
	*pair
	ask, give *office
}

func newParties(t *testing.T) *parties {
	t.Helper()
	return newPartiesTuned(t, nil)
}

// newPartiesTuned is newParties with a say in the options of its nodes.
func newPartiesTuned(t *testing.T, tune func(id string, o *exchange.Options)) *parties {
	t.Helper()
	p := &parties{pair: &pair{net: newTestNet(t)}}
	p.net.tune = tune
	needed := func(orgcode.Service) bool { return true }
	dbs := [2]*storage.DB{openDB(t), openDB(t)}
	provider, pk := p.net.startWith(t, "VN/GOV/G01/node1", []string{"VN/GOV/G01/population"}, dbs[0], needed)
	consumer, ck := p.net.startWith(t, "VN/GOV/H36/node1", []string{"VN/GOV/H36/onestop"}, dbs[1], needed)
	p.provider, p.consumer = provider, consumer
	p.offer(t)
	p.give, p.ask = p.net.office(t, provider, dbs[0], pk), p.net.office(t, consumer, dbs[1], ck)
	return p
}

const person = "VN/GOV/G01/population/person"

func draft(edit func(*agreement.Document)) []byte {
	now := time.Now()
	d := &agreement.Document{
		Validity: agreement.Validity{NotBefore: now.Add(-time.Hour).Unix(), NotAfter: now.Add(24 * time.Hour).Unix()},
		Grants: []agreement.Grant{{
			Type: agreement.Connect, Service: agreement.Service{ID: person, Methods: []string{"POST"}, Paths: []string{"/query"}},
			Consumer: &agreement.Consumer{Subsystem: "VN/GOV/H36/onestop"},
			Purpose:  agreement.Purpose{Code: "prefill", LegalBasis: "Nghị định 224/2026/NĐ-CP, Điều 15"},
		}},
	}
	if edit != nil {
		edit(d)
	}
	b, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	return b
}

// agree proposes at the consumer, accepts at the provider, and waits until both know.
func (p *parties) agree(t *testing.T, edit func(*agreement.Document)) string {
	t.Helper()
	content, err := p.ask.Propose(t.Context(), "an", draft(edit))
	if err != nil {
		t.Fatal(err)
	}
	p.ask.deliver(t)
	if err := p.give.Accept(t.Context(), "binh", content); err != nil {
		t.Fatal(err)
	}
	p.give.deliver(t)
	return content
}

// E2E-01, E2E-02, E2E-06, CALL-IN-01, CALL-OUT-01, CALL-OUT-02, LOG-IN-01, LOG-OUT-01.
func TestAgreementOpensTheWay(t *testing.T) {
	p := newParties(t)
	before := p.consumer.log.Size()
	_, err := p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.clientproxy.no_agreement", errs.Denied)
	if p.consumer.log.Size() != before || p.provider.log.Size() != 0 || p.consumer.carrier.last != nil {
		t.Error("CALL-OUT-02: a call without an agreement left the node")
	}
	content, err := p.ask.Propose(t.Context(), "an", draft(nil))
	if err != nil {
		t.Fatal(err)
	}
	p.ask.deliver(t)
	// Proposed is not agreed, on either side.
	_, err = p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.clientproxy.no_agreement", errs.Denied)
	if err := p.give.Accept(t.Context(), "binh", content); err != nil {
		t.Fatal(err)
	}
	p.give.deliver(t)
	skipA, skipB := p.consumer.log.Size(), p.provider.log.Size()
	if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
		t.Fatal(err)
	}
	a, b := p.consumer.entries(t)[skipA:], p.provider.entries(t)[skipB:]
	if len(a) != 2 || len(b) != 2 {
		t.Fatalf("logs have %d and %d entries", len(a), len(b))
	}
	view, err := p.give.Get(t.Context(), content)
	if err != nil || view.State != agreement.Valid {
		t.Fatalf("agreement = %+v, %v", view.Status, err)
	}
	grant, err := view.Document.GrantHash(content, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range a {
		if a[i].Grant != grant || b[i].Grant != grant || a[i].RequestID != b[i].RequestID {
			t.Errorf("E2E-06: entry %d has grants %q and %q; want %q", i, a[i].Grant, b[i].Grant, grant)
		}
	}
	if base := a[0].Base; !strings.Contains(base, `"truc-grant": `+grant) {
		t.Errorf("the grant was not signed:\n%s", base)
	}
	if want := []string{"an exchange.agreement.submit", "member:VN/GOV/G01 exchange.agreement.accept_received"}; !slices.Equal(p.ask.acts, want) {
		t.Errorf("acts of the proposer = %q; want %q", p.ask.acts, want)
	}
	if want := []string{"member:VN/GOV/H36 exchange.agreement.accept_received", "binh exchange.agreement.accept"}; !slices.Equal(p.give.acts, want) {
		t.Errorf("acts of the other = %q; want %q", p.give.acts, want)
	}
	p.checkEvidence(t, a[0].ExchangeID)
}

// checkEvidence exports the exchange on both sides and verifies it offline (LOG-READ-03).
func (p *parties) checkEvidence(t *testing.T, id string) {
	t.Helper()
	for _, n := range []*testNode{p.consumer, p.provider} {
		b, err := n.Evidence(t.Context(), id, exchange.EvidenceOptions{Persons: true})
		if err != nil {
			t.Fatal(err)
		}
		r, err := exchange.VerifyEvidence(b, exchange.Trust{Key: p.net.Key, LogKey: func(string) (string, error) { return n.log.VerifierKey(), nil }})
		if err != nil || !r.OK {
			t.Errorf("LOG-READ-03: %s: %+v, %v", n.id, r, err)
		}
	}
}

// wire is a request of the consumer's node as it arrives at the provider's, signed with key over the fields that are set
// after edit.
func (p *parties) wire(t *testing.T, grant string, edit func(*exchange.WireRequest), key crypto.Signer) *exchange.WireRequest {
	t.Helper()
	r := &exchange.WireRequest{
		Method: "POST", TargetURI: "https://p.example/x1/" + person + "/query", Header: http.Header{}, Body: []byte(`{}`),
		PeerKeyID: p.net.peers["VN/GOV/H36/node1"].TLSKeyID,
	}
	for name, v := range map[string]string{
		exchange.HeaderClient: "VN/GOV/H36/onestop", exchange.HeaderID: "VN-1", exchange.HeaderRequestID: exchange.NewUUID(),
		exchange.HeaderIssue: "H36.14-261121-0001", exchange.HeaderPurpose: "prefill;", exchange.HeaderGrant: grant,
	} {
		r.Header.Set(name, v)
	}
	if grant == "" {
		r.Header.Del(exchange.HeaderGrant)
	}
	if edit != nil {
		edit(r)
	}
	r.Header.Set("Content-Digest", exchange.ContentDigest(r.Body))
	pub, _ := key.Public().(ed25519.PublicKey)
	lines := []string{`"@method": ` + r.Method, `"@target-uri": ` + r.TargetURI}
	ids := []string{`"@method"`, `"@target-uri"`}
	for _, f := range []string{"x-road-client", "x-road-id", "x-road-request-id", "content-digest", "x-road-issue", "x-road-represented-party", "truc-grant", "truc-purpose"} {
		if v := r.Header.Get(f); v != "" {
			ids, lines = append(ids, `"`+f+`"`), append(lines, `"`+f+`": `+v)
		}
	}
	params := "(" + strings.Join(ids, " ") + fmt.Sprintf(`);created=%d;keyid="%s";alg="ed25519";tag="truc-x1"`, time.Now().Unix(), exchange.KeyID(pub))
	sig, err := key.Sign(rand.Reader, []byte(strings.Join(lines, "\n")+"\n"+`"@signature-params": `+params), crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Signature-Input", "x1="+params)
	r.Header.Set("Signature", "x1=:"+base64.StdEncoding.EncodeToString(sig)+":")
	return r
}

// expire puts an agreement into force at the provider as it was when its time was over.
func (p *parties) expire(t *testing.T, content string) {
	t.Helper()
	a, err := p.give.Store.Agreement(t.Context(), content)
	if err != nil {
		t.Fatal(err)
	}
	a.Document.Validity.NotAfter = time.Now().Unix() - 1
	p.give.Store = fixed{p.give.Store, a}
	if err := p.give.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// fixed is a store that holds one agreement, whatever it says.
type fixed struct {
	exchange.AgreementStore
	a *agreement.Agreement
}

func (f fixed) Agreements(context.Context) ([]*agreement.Agreement, error) {
	return []*agreement.Agreement{f.a}, nil
}

// CALL-IN-01..08 at the provider, whatever the consumer's node checked itself.
func TestProviderChecksTheGrantItself(t *testing.T) {
	const no, expired = "server.serverproxy.no_agreement", "server.serverproxy.agreement_expired"
	for _, tt := range []struct {
		name  string
		edit  func(*agreement.Document)
		wire  func(*exchange.WireRequest)
		then  func(*testing.T, *parties, string)
		grant func(grant, content string) string
		key   func(*testing.T, *parties) crypto.Signer
		after func(*exchange.WireRequest)
		typ   string
	}{
		{name: "CALL-IN-01 valid"},
		{name: "CALL-IN-02 unsigned", after: func(r *exchange.WireRequest) { r.Header.Del("Signature") }, typ: "server.serverproxy.signature_verification"},
		{name: "CALL-IN-03 another key than the grant's", key: func(t *testing.T, p *parties) crypto.Signer {
			pub, key, err := ed25519.GenerateKey(nil)
			if err != nil {
				t.Fatal(err)
			}
			p.net.mu.Lock()
			defer p.net.mu.Unlock()
			p.net.keys[exchange.KeyID(pub)] = exchange.Key{ID: exchange.KeyID(pub), Public: pub, ServerID: "VN/GOV/H36/node1"}
			return key
		}, typ: no},
		{name: "CALL-IN-04 untrusted certificate", after: func(r *exchange.WireRequest) { r.PeerKeyID = "other" }, typ: "server.serverproxy.ssl_authentication_failed"},
		{name: "CALL-IN-05 expired", then: func(t *testing.T, p *parties, content string) { p.expire(t, content) }, typ: expired},
		{name: "CALL-IN-06 revoked a moment ago", then: func(t *testing.T, p *parties, content string) {
			if err := p.give.Revoke(t.Context(), "binh", content, "hết nhu cầu"); err != nil {
				t.Fatal(err)
			}
		}, typ: no},
		{name: "CALL-IN-07 outside path", edit: func(d *agreement.Document) { d.Grants[0].Service.Paths = []string{"/other"} }, typ: no},
		{name: "CALL-IN-07 outside method", edit: func(d *agreement.Document) { d.Grants[0].Service.Methods = []string{"GET"} }, typ: no},
		{name: "CALL-IN-08 outside purpose", edit: func(d *agreement.Document) { d.Grants[0].Purpose.Code = "verify-dossier" }, typ: no},
		{name: "a grant nobody made", grant: func(string, string) string { return agreement.ContentHash([]byte("x")) }, typ: no},
		{name: "the agreement's hash instead of the grant's", grant: func(_, content string) string { return content }, typ: no},
		{name: "no grant", grant: func(string, string) string { return "" }, typ: no},
		{name: "no hash", grant: func(string, string) string { return "all" }, typ: "server.serverproxy.bad_request"},
		{name: "two grants", wire: func(r *exchange.WireRequest) { r.Header.Add(exchange.HeaderGrant, r.Header.Get(exchange.HeaderGrant)) }, typ: "server.serverproxy.signature_verification"},
		{name: "CALL-DLG-04 represented party without a grant", wire: func(r *exchange.WireRequest) { r.Header.Set(exchange.HeaderParty, "GOV/H36.14") }, typ: no},
		{name: "represented party in four parts", wire: func(r *exchange.WireRequest) { r.Header.Set(exchange.HeaderParty, "VN/GOV/H36/x") }, typ: "server.serverproxy.bad_request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newParties(t)
			content := p.agree(t, tt.edit)
			view, err := p.ask.Get(t.Context(), content)
			if err != nil {
				t.Fatal(err)
			}
			grant, err := view.Document.GrantHash(content, 0)
			if err != nil {
				t.Fatal(err)
			}
			if tt.then != nil {
				tt.then(t, p, content)
			}
			if tt.grant != nil {
				grant = tt.grant(grant, content)
			}
			key := p.ask.key
			if tt.key != nil {
				key = tt.key(t, p)
			}
			r := p.wire(t, grant, tt.wire, key)
			if tt.after != nil {
				tt.after(r)
			}
			resp := p.provider.Receive(t.Context(), r)
			if got := resp.Header.Get(exchange.HeaderError); got != tt.typ || (tt.typ == "") != (len(p.got) == 1) {
				t.Fatalf("answer %q %s, service called %d times; want %q", got, resp.Body, len(p.got), tt.typ)
			}
			if tt.typ == no || tt.typ == expired {
				e := p.provider.entries(t)
				if last := e[len(e)-1]; last.Outcome != tt.typ || last.Signature == "" || resp.Header.Get("Signature") == "" {
					t.Errorf("the refusal is not signed and logged: %+v", last)
				}
			}
		})
	}
}

// CALL-OUT-04: what the provider refuses, signed, reaches the caller as it is.
func TestSignedRefusalIsPassedOn(t *testing.T) {
	p := newParties(t)
	content := p.agree(t, nil)
	if err := p.give.Revoke(t.Context(), "binh", content, ""); err != nil { // the consumer has not heard of it
		t.Fatal(err)
	}
	_, err := p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.serverproxy.no_agreement", errs.Denied)
	e := p.consumer.entries(t)
	if last := e[len(e)-1]; last.Outcome != "server.serverproxy.no_agreement" || last.Signature == "" {
		t.Errorf("the refusal is no evidence: %+v", last)
	}
}

// CALL-OUT-03: an unreachable peer is what it is, with an agreement as without.
func TestPeerAwayUnderAnAgreement(t *testing.T) {
	p := newParties(t)
	p.agree(t, nil)
	p.provider.stop()
	_, err := p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.clientproxy.network_error", errs.Unavailable)
}

// A revocation at the consumer holds at once there, and at the provider when it has heard it.
func TestRevocation(t *testing.T) {
	p := newParties(t)
	content := p.agree(t, nil)
	if err := p.ask.Revoke(t.Context(), "an", content, "khoá bị lộ"); err != nil {
		t.Fatal(err)
	}
	_, err := p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.clientproxy.no_agreement", errs.Denied)
	p.ask.deliver(t)
	view, err := p.give.Get(t.Context(), content)
	if err != nil || view.State != agreement.Revoked || view.End.Reason != "khoá bị lộ" || view.End.Member != "VN/GOV/H36" {
		t.Errorf("at the other party: %+v, %v", view.Status, err)
	}
	for name, act := range map[string]func() error{
		"accept":       func() error { return p.give.Accept(t.Context(), "binh", content) },
		"revoke twice": func() error { return p.ask.Revoke(t.Context(), "an", content, "") },
		"reject":       func() error { return p.give.Reject(t.Context(), "binh", content, "") },
	} {
		if err := act(); !errs.Is(err, errs.Conflict) {
			t.Errorf("%s after the end: %v", name, err)
		}
	}
}

// AGR-REJECT-01: a proposal that was refused never opens anything.
func TestRejection(t *testing.T) {
	p := newParties(t)
	content, err := p.ask.Propose(t.Context(), "an", draft(nil))
	if err != nil {
		t.Fatal(err)
	}
	p.ask.deliver(t)
	if err := p.give.Reject(t.Context(), "binh", content, "không có căn cứ"); err != nil {
		t.Fatal(err)
	}
	p.give.deliver(t)
	view, err := p.ask.Get(t.Context(), content)
	if err != nil || view.State != agreement.Rejected || view.End.Reason != "không có căn cứ" {
		t.Errorf("at the proposer: %+v, %v", view.Status, err)
	}
}

// submit sends raw news as another member would, signed by its node.
func (p *parties) submit(t *testing.T, path string, body any) (int, string) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	ans, err := p.consumer.Call(t.Context(), exchange.Call{
		From: orgcode.Subsystem{Instance: "VN", Class: "GOV", Member: "H36", Code: "onestop"}, To: service(t, "VN/GOV/G01/population/agreements"),
		Method: "POST", Path: path, Body: b, Activity: "agreement",
	})
	if err != nil {
		t.Fatal(err)
	}
	var problem struct{ Code string }
	_ = json.Unmarshal(ans.Body, &problem)
	return ans.Status, strings.TrimPrefix(problem.Code, "exchange.agreement.fault.")
}

// AGR-SUBMIT-07..12, AGR-ACCEPT-06, AGR-REJECT-06, AGR-REVOKE-06: what a partner may not send.
func TestSubmissionsThatAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		edit   func(*agreement.Document)
		raw    func([]byte) []byte
		status int
		code   string
	}{
		{name: "valid", status: 200},
		{name: "AGR-SUBMIT-06 unknown hash algorithm", edit: func(d *agreement.Document) { d.HashAlg = "md5" }, status: 400, code: "hash_alg"},
		{name: "AGR-SUBMIT-07 submitter not a party", edit: func(d *agreement.Document) { d.Grants[0].Consumer.Subsystem = "VN/GOV/G99/x" }, status: 403, code: "not_party"},
		{name: "AGR-SUBMIT-08 receiver not a party", edit: func(d *agreement.Document) { d.Grants[0].Service.ID = "VN/GOV/G99/x/y" }, status: 400, code: "receiver"},
		{name: "AGR-SUBMIT-09 mixed", edit: func(d *agreement.Document) {
			g := d.Grants[0]
			g.Type, g.Consumer = agreement.Publish, nil
			d.Grants = append(d.Grants, g)
		}, status: 400, code: "mixed"},
		{name: "AGR-SUBMIT-10 wrong instance", edit: func(d *agreement.Document) { d.Instance = "EE" }, status: 400, code: "instance"},
		{name: "AGR-SUBMIT-11 end in the past", edit: func(d *agreement.Document) { d.Validity = agreement.Validity{NotBefore: 1, NotAfter: 2} }, status: 400, code: "past"},
		{name: "not canonical", raw: func(b []byte) []byte { return append([]byte(" "), b...) }, status: 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newParties(t)
			d, err := agreement.DecodeDraft(draft(nil))
			if err != nil {
				t.Fatal(err)
			}
			d.Instance = "VN"
			d.Fill(exchange.NewUUID(), time.Now(), p.net.keysOf)
			if tt.edit != nil {
				tt.edit(d)
			}
			raw, err := d.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if tt.raw != nil {
				// encoding/json would compact the document, so the hash is of what arrives.
				raw = bytes.TrimSpace(tt.raw(raw))
				raw = bytes.Replace(raw, []byte(`"hash_alg"`), []byte(`"hash_alg":"sha-256","hash_alg"`), 1)
			}
			st, err := agreement.Statement{
				Type: agreement.Accept, Content: agreement.ContentHash(raw), Member: "VN/GOV/H36", SignedAt: time.Now().Unix(), KeyID: p.consumer.keyID,
			}.Sign(p.ask.key)
			if err != nil {
				t.Fatal(err)
			}
			if tt.name == "valid" {
				if status, code := p.submit(t, "/"+st.Content, map[string]any{"document": json.RawMessage(raw), "statements": []any{}}); status != 400 || code != "signature" {
					t.Errorf("a proposal that the sender has not signed: %d %s", status, code)
				}
			}
			status, code := p.submit(t, "/"+st.Content, map[string]any{"document": json.RawMessage(raw), "statements": []any{st}})
			if status != tt.status || tt.code != "" && code != tt.code {
				t.Errorf("answer %d %s; want %d %s", status, code, tt.status, tt.code)
			}
			if list, err := p.give.List(t.Context()); err != nil || len(list) != 0 && tt.status != 200 {
				t.Errorf("kept %d, %v", len(list), err)
			}
			if tt.name == "valid" {
				p.addressDiffers(t, raw)
				p.ivTwice(t, d)
			}
		})
	}
}

func (p *parties) addressDiffers(t *testing.T, raw []byte) {
	t.Helper()
	status, code := p.submit(t, "/"+agreement.ContentHash([]byte("other")), map[string]any{"document": json.RawMessage(raw), "statements": []any{}})
	if status != 400 || code != "content" {
		t.Errorf("AGR-ACCEPT-06: answer %d %s", status, code)
	}
	forged := agreement.Statement{Type: agreement.Accept, Content: agreement.ContentHash(raw), Member: "VN/GOV/G01", SignedAt: time.Now().Unix(), KeyID: p.provider.keyID, Signature: "AAAA"}
	status, code = p.submit(t, "/"+agreement.ContentHash(raw), map[string]any{"document": json.RawMessage(raw), "statements": []any{forged}})
	if status != 400 || code != "signature" {
		t.Errorf("AGR-ACCEPT-03: an acceptance in the receiver's own name: %d %s", status, code)
	}
}

func (p *parties) ivTwice(t *testing.T, d *agreement.Document) {
	t.Helper()
	d.Grants[0].Limits.Daily = 1
	raw, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	key := agreement.Statement{Type: agreement.Accept, Content: agreement.ContentHash(raw), Member: "VN/GOV/H36", SignedAt: time.Now().Unix(), KeyID: p.consumer.keyID}
	signed, err := key.Sign(p.ask.key)
	if err != nil {
		t.Fatal(err)
	}
	first, err := agreement.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	first.Grants[0].Limits.Daily = 0
	raw0, err := first.Encode()
	if err != nil {
		t.Fatal(err)
	}
	s0 := signed
	s0.Content = agreement.ContentHash(raw0)
	if s0, err = s0.Sign(p.ask.key); err != nil {
		t.Fatal(err)
	}
	if status, _ := p.submit(t, "/"+s0.Content, map[string]any{"document": json.RawMessage(raw0), "statements": []any{s0}}); status != 200 {
		t.Fatalf("the first: %d", status)
	}
	if status, code := p.submit(t, "/"+signed.Content, map[string]any{"document": json.RawMessage(raw), "statements": []any{signed}}); status != 409 || code != "iv_used" {
		t.Errorf("AGR-SUBMIT-12: answer %d %s", status, code)
	}
}

// AGR-LIST-01..02: a party sees its agreements, others none, by list and by hash.
func TestListOverTheExchange(t *testing.T) {
	p := newParties(t)
	content := p.agree(t, nil)
	stranger := p.net.start(t, "VN/GOV/G99/node1", []string{"VN/GOV/G99/office"}, openDB(t))
	get := func(n *testNode, from, path string) (int, string) {
		t.Helper()
		sub, err := orgcode.ParseSubsystem(from)
		if err != nil {
			t.Fatal(err)
		}
		ans, err := n.Call(t.Context(), exchange.Call{From: sub, To: service(t, "VN/GOV/G01/population/agreements"), Path: path, Activity: "agreement"})
		if err != nil {
			t.Fatal(err)
		}
		return ans.Status, string(ans.Body)
	}
	if status, body := get(p.consumer, "VN/GOV/H36/onestop", "/"); status != 200 || !strings.Contains(body, content) || !strings.Contains(body, `"valid"`) {
		t.Errorf("AGR-LIST-01: %d %s", status, body)
	}
	if status, body := get(p.consumer, "VN/GOV/H36/onestop", "/"+content); status != 200 || !strings.Contains(body, `"accept"`) {
		t.Errorf("AGR-LIST-01: %d %s", status, body)
	}
	if status, body := get(stranger, "VN/GOV/G99/office", "/"); status != 200 || strings.Contains(body, "sha-256") {
		t.Errorf("AGR-LIST-02: %d %s", status, body)
	}
	if status, _ := get(stranger, "VN/GOV/G99/office", "/"+content); status != 404 {
		t.Errorf("AGR-LIST-02: %d", status)
	}
}

// A grant can name fields; then a request must name its own, in a way no two readers read differently.
func TestFields(t *testing.T) {
	for _, tt := range []struct {
		name, query, body string
		ok                bool
	}{
		{"granted", "", `{"fields":["fullName"]}`, true},
		{"all granted", "", `{"id":"1","fields":["fullName","birthDate"]}`, true},
		{"by the query", "fields=fullName,birthDate", `{}`, true},
		{"not granted", "", `{"fields":["fullName","personalId"]}`, false},
		{"not granted by the query", "fields=personalId", `{"fields":["fullName"]}`, false},
		{"none named", "", `{"fields":[]}`, false},
		{"nothing said", "", `{}`, false},
		{"twice", "", `{"fields":["fullName"],"fields":["personalId"]}`, false},
		{"in other letters", "", `{"fields":["fullName"],"Fields":["personalId"]}`, false},
		{"in the query twice", "fields=fullName&fields=personalId", `{}`, false},
		{"no list", "", `{"fields":"fullName"}`, false},
		{"a pattern", "", `{"fields":["*"]}`, false},
		{"two values", "", `{"fields":["fullName"]}{"fields":["personalId"]}`, false},
		{"no JSON", "", `fields=personalId`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newParties(t)
			p.agree(t, func(d *agreement.Document) { d.Grants[0].Purpose.Fields = []string{"fullName", "birthDate"} })
			c := query(t)
			c.Query, c.Body = tt.query, []byte(tt.body)
			_, err := p.consumer.Call(t.Context(), c)
			if tt.ok && err != nil || !tt.ok && faultOf(t, err).Type != "server.serverproxy.access_denied" {
				t.Errorf("Call = %v", err)
			}
		})
	}
}

// CALL-DLG-01..03, E2E-03..05, LOG-IN-04, LOG-IN-05: on behalf of a district, of a service run for another ministry, both.
func TestDelegation(t *testing.T) {
	for _, tt := range []struct {
		name               string
		delegator, service string // members
		call               string
		want               bool
	}{
		{"CALL-DLG-01 as delegatee", "VN/GOV/X14", "", "GOV/X14", true},
		{"CALL-DLG-01 as delegatee, class left out", "VN/GOV/X14", "", "X14", true},
		{"CALL-DLG-02 delegated service", "", "VN/GOV/G05", "", true},
		{"CALL-DLG-03 both", "VN/GOV/X14", "VN/GOV/G05", "X14", true},
		{"CALL-DLG-04 on behalf of another party", "VN/GOV/X14", "", "X15", false},
		{"CALL-DLG-04 delegation left out", "VN/GOV/X14", "", "", false},
		{"CALL-DLG-04 no delegated grant", "", "", "X14", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newParties(t)
			members := []string{}
			for _, m := range []string{tt.delegator, tt.service} {
				if m != "" && !slices.Contains(members, m) {
					members = append(members, m)
				}
			}
			offices := map[string]*office{}
			for _, m := range members {
				db := openDB(t)
				n, key := p.net.startWith(t, m+"/node1", []string{m + "/office"}, db, nil)
				offices[m] = p.net.office(t, n, db, key)
			}
			content, err := p.ask.Propose(t.Context(), "an", draft(func(d *agreement.Document) {
				g := &d.Grants[0]
				if tt.delegator != "" {
					g.Type, g.Delegator = agreement.DelegatedConnect, agreement.Party(tt.delegator)
				}
				g.Service.Delegator = agreement.Party(tt.service)
			}))
			if err != nil {
				t.Fatal(err)
			}
			p.ask.deliver(t)
			c := query(t)
			c.Party = tt.call
			if tt.want { // all but one have signed: not enough
				_, err := p.consumer.Call(t.Context(), c)
				wantFault(t, err, "server.clientproxy.no_agreement", errs.Denied)
			}
			for _, o := range append([]*office{p.give}, offices[tt.delegator], offices[tt.service]) {
				if o == nil {
					continue
				}
				if err := o.Accept(t.Context(), "binh", content); err != nil {
					t.Fatal(err)
				}
				o.deliver(t)
			}
			_, err = p.consumer.Call(t.Context(), c)
			if !tt.want {
				wantFault(t, err, "server.clientproxy.no_agreement", errs.Denied)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []*testNode{p.consumer, p.provider} {
				e := n.entries(t)
				for _, last := range e[len(e)-2:] {
					if last.Delegator != tt.delegator || last.ServiceDelegator != tt.service {
						t.Errorf("LOG: %s logged %q and %q; want %q and %q", n.id, last.Delegator, last.ServiceDelegator, tt.delegator, tt.service)
					}
				}
			}
			e := p.consumer.entries(t)
			p.checkEvidence(t, e[len(e)-1].ExchangeID)
		})
	}
}

// A proposal with the terms of the configuration is accepted without a person; with other terms, or for keys that are not
// the consumer's, it waits.
func TestTermsOfTheConfiguration(t *testing.T) {
	for _, tt := range []struct {
		name  string
		edit  func(*agreement.Document)
		state agreement.State
	}{
		{"the same", nil, agreement.Valid},
		{"another purpose", func(d *agreement.Document) { d.Grants[0].Purpose.Code = "statistics" }, agreement.Proposed},
		{"a longer time", func(d *agreement.Document) { d.Validity.NotAfter += 86400 }, agreement.Proposed},
		{"a grant more", func(d *agreement.Document) {
			g := d.Grants[0]
			g.Service.Paths = []string{"**"}
			d.Grants = append(d.Grants, g)
		}, agreement.Proposed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newParties(t)
			d, err := agreement.DecodeDraft(draft(nil))
			if err != nil {
				t.Fatal(err)
			}
			d.Instance = "VN"
			own := *d
			p.give.Terms = []agreement.Document{own}
			other, err := agreement.DecodeDraft(draft(tt.edit))
			if err != nil {
				t.Fatal(err)
			}
			other.Instance = "VN"
			if tt.edit == nil {
				other.Validity = own.Validity
			}
			p.ask.Terms = []agreement.Document{*other}
			if left, err := p.ask.ProposeOwn(t.Context()); err != nil || left != 0 {
				t.Fatal(left, err)
			}
			p.ask.deliver(t)
			list, err := p.ask.List(t.Context())
			if err != nil || len(list) != 1 || list[0].State != tt.state {
				t.Fatalf("agreements = %+v, %v; want one that is %s", list, err, tt.state)
			}
			if _, err := p.ask.ProposeOwn(t.Context()); err != nil { // a second start proposes nothing again
				t.Fatal(err)
			}
			if list, err := p.ask.List(t.Context()); err != nil || len(list) != 1 {
				t.Errorf("%d agreements after the second start, %v", len(list), err)
			}
		})
	}
}

// A person can sign for no one but the own member, and only for keys that the directory knows as the consumer's.
func TestKeysOfTheConsumerAreKnown(t *testing.T) {
	p := newParties(t)
	_, err := p.ask.Propose(t.Context(), "an", draft(func(d *agreement.Document) {
		d.Grants[0].Consumer.KeyThumbprints = []string{agreement.Thumbprint(p.provider.keyID)}
	}))
	if key, _ := errs.KeyOf(err); key != "exchange.agreement.fault.consumer_key" {
		t.Errorf("a grant to the provider's own key: %v", err)
	}
	_, err = p.ask.Propose(t.Context(), "an", draft(func(d *agreement.Document) {
		d.Grants[0].Consumer.Subsystem, d.Grants[0].Service.ID = "VN/GOV/G01/population", "VN/GOV/G99/x/y"
	}))
	if key, _ := errs.KeyOf(err); key != "exchange.agreement.fault.receiver" {
		t.Errorf("an agreement of others: %v", err)
	}
}

// listMethods shows a service to whoever holds a grant, and allowedMethods hides what no grant covers (D9).
func TestMetadataFollowsGrants(t *testing.T) {
	p := newParties(t)
	ask := func(code string) string {
		t.Helper()
		c := query(t)
		c.To.Code, c.Method, c.Path, c.Body, c.Activity = code, http.MethodGet, "", nil, ""
		ans, err := p.consumer.Call(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return string(ans.Body)
	}
	if s := ask("allowedMethods"); strings.Contains(s, "person") {
		t.Errorf("without a grant: %s", s)
	}
	p.agree(t, nil)
	if s := ask("allowedMethods"); !strings.Contains(s, "person") {
		t.Errorf("with a grant: %s", s)
	}
	if err := p.provider.SetRules(nil); err != nil {
		t.Fatal(err)
	}
	if s := ask("listMethods"); !strings.Contains(s, "person") {
		t.Errorf("listMethods without a rule, with a grant: %s", s)
	}
	_, err := p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.serverproxy.access_denied", errs.Denied) // a grant does not replace the rule
}

// The limits of a grant hold at the provider (D31).
func TestLimitsOfAGrant(t *testing.T) {
	p := newParties(t)
	p.agree(t, func(d *agreement.Document) { d.Grants[0].Limits.Daily = 2 })
	for range 2 {
		if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.serverproxy.quota_exceeded", errs.Limited)
}

// What was proposed while a node was away is fetched by it when it comes back.
func TestFetch(t *testing.T) {
	p := newParties(t)
	content, err := p.ask.Propose(t.Context(), "an", draft(nil))
	if err != nil {
		t.Fatal(err)
	}
	d, err := agreement.DecodeDraft(draft(nil)) // the provider's own terms, which ask for the same
	if err != nil {
		t.Fatal(err)
	}
	view, err := p.ask.Get(t.Context(), content)
	if err != nil {
		t.Fatal(err)
	}
	d.Instance, d.Validity = "VN", view.Document.Validity
	p.give.Terms = []agreement.Document{*d}
	if err := p.give.Load(t.Context()); err != nil || p.give.Waiting() != 1 {
		t.Fatalf("%d wait, %v", p.give.Waiting(), err)
	}
	if _, err := p.give.ProposeOwn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.give.Waiting() != 0 {
		t.Error("the provider has not fetched and accepted")
	}
	p.give.deliver(t)
	if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
		t.Error(err)
	}
}

// The operations of the management interface do what the methods do.
func TestManageAgreements(t *testing.T) {
	p := newParties(t)
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	mux := web.NewMux(web.Options{Lang: cat, Log: slog.New(slog.DiscardHandler)})
	api := &manage.API{
		Title: "t", Version: "1", Now: time.Now, Audit: func(context.Context, string, string, string) error { return nil },
		Authenticate: func(_ context.Context, secret string) (manage.Operator, error) {
			return manage.Operator{ID: "o1", Roles: []manage.Role{manage.Role(secret)}}, nil
		},
	}
	if err := (&ManageAgreements{Agreements: p.ask.Agreements}).Declare(api); err != nil {
		t.Fatal(err)
	}
	if err := api.Mount(mux, "/api/exchange/openapi.json"); err != nil {
		t.Fatal(err)
	}
	do := func(role, method, path, body string) (int, string) {
		t.Helper()
		r := httptest.NewRequest(method, "/api/exchange/agreements"+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+role)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	if code, body := do("observer", "POST", "", string(draft(nil))); code != 403 {
		t.Errorf("an observer proposes: %d %s", code, body)
	}
	code, body := do("service", "POST", "", string(draft(nil)))
	var made struct {
		Content string `json:"content_hash"`
	}
	if err := json.Unmarshal([]byte(body), &made); err != nil || code != 201 {
		t.Fatalf("propose: %d %s", code, body)
	}
	if code, body := do("service", "POST", "", `{"grants":1}`); code != 400 {
		t.Errorf("a draft that is none: %d %s", code, body)
	}
	if code, body := do("observer", "GET", "", ""); code != 200 || !strings.Contains(body, made.Content) || !strings.Contains(body, `"waiting":["VN/GOV/G01"]`) {
		t.Errorf("list: %d %s", code, body)
	}
	if code, body := do("service", "POST", "/"+made.Content+"/accept", ""); code != 409 {
		t.Errorf("accept what one has proposed: %d %s", code, body)
	}
	if code, body := do("service", "POST", "/"+made.Content+"/revoke", `{"reason":"sai"}`); code != 204 {
		t.Errorf("revoke: %d %s", code, body)
	}
	if code, body := do("observer", "GET", "/"+made.Content, ""); code != 200 || !strings.Contains(body, `"reason":"sai"`) || !strings.Contains(body, `"state":"revoked"`) {
		t.Errorf("show: %d %s", code, body)
	}
	if !slices.Contains(p.ask.acts, "operator:o1 exchange.agreement.revoke") {
		t.Errorf("acts = %q", p.ask.acts)
	}
}

// When a party leaves the network, what was agreed with it has ended, on both sides, and what had an end keeps its own.
func TestPartyThatLeft(t *testing.T) {
	p := newParties(t)
	revoked := p.agree(t, nil)
	if err := p.ask.Revoke(t.Context(), "an", revoked, "đổi điều khoản"); err != nil {
		t.Fatal(err)
	}
	p.ask.deliver(t)
	content := p.agree(t, func(d *agreement.Document) { d.Validity.NotAfter += 60 })
	if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
		t.Fatal(err)
	}
	for name, office := range map[string]*office{"who asks": p.ask, "who answers": p.give} {
		gone := ""
		office.Left = func(member string) bool { return member == gone }
		state := func(content string, want agreement.State) {
			t.Helper()
			if err := office.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			if v, err := office.Get(t.Context(), content); err != nil || v.State != want {
				t.Errorf("%s: %s, %v; want %s", name, v.State, err, want)
			}
		}
		state(content, agreement.Valid)
		for _, gone = range []string{"VN/GOV/H36", "VN/GOV/G01"} {
			state(content, agreement.Ended)
			state(revoked, agreement.Revoked)
			_, err := p.consumer.Call(t.Context(), query(t))
			if fault, ok := errors.AsType[*exchange.Fault](err); !ok || !strings.HasSuffix(fault.Type, "no_agreement") {
				t.Errorf("%s: a call under an agreement that ended: %v", name, err)
			}
			if err := office.Revoke(t.Context(), "an", content, "x"); !errs.Is(err, errs.Conflict) {
				t.Errorf("%s: revoked after the end: %v", name, err)
			}
		}
		gone = "VN/GOV/H99"
		state(content, agreement.Valid)
		if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
			t.Errorf("%s: another member left: %v", name, err)
		}
	}
}
