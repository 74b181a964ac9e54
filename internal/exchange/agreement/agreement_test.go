package agreement

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

const (
	province = "VN/GOV/H36"
	ministry = "VN/GOV/G01"
	center   = "VN/GOV/G22"
	district = "VN/GOV/H36.14"
)

// dir is a directory in memory.
type dir struct {
	keys    map[string]Key
	signers map[string]crypto.Signer // member → its current signer
	follows map[string]string        // new key → old key
}

func keyID(t testing.TB, pub crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func newDir(t testing.TB) *dir {
	d := &dir{keys: map[string]Key{}, signers: map[string]crypto.Signer{}, follows: map[string]string{}}
	for _, m := range []string{province, ministry, center, district} {
		d.add(t, m)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // one of them signs with the other algorithm
	if err != nil {
		t.Fatal(err)
	}
	d.put(t, ministry, p256)
	return d
}

func (d *dir) add(t testing.TB, member string) string {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return d.put(t, member, key)
}

func (d *dir) put(t testing.TB, member string, key crypto.Signer) string {
	id := keyID(t, key.Public())
	d.keys[id] = Key{Public: key.Public(), Member: member}
	d.signers[member] = key
	return id
}

func (d *dir) SigningKey(id string) (Key, error) {
	k, ok := d.keys[id]
	if !ok {
		return k, errors.New("no such key")
	}
	return k, nil
}

func (d *dir) Succeeds(newID, oldID string) bool {
	return !d.keys[oldID].Revoked && !d.keys[newID].Revoked && (newID == oldID || d.follows[newID] == oldID)
}

func (d *dir) id(t testing.TB, member string) string { return keyID(t, d.signers[member].Public()) }

// connect is a correct agreement between a province that asks and a ministry that answers.
func (d *dir) connect(t testing.TB) *Document {
	return &Document{
		IV: "0d4b6c1e-7f0a-4c55-9a43-2f6f1f0f9a11", Instance: "VN", CreatedAt: now.Unix(), HashAlg: "sha-256",
		Validity: Validity{NotBefore: now.Unix(), NotAfter: now.Add(365 * 24 * time.Hour).Unix()},
		Grants: []Grant{{
			Type:     Connect,
			Service:  Service{ID: "VN/GOV/G01/population/person", Methods: []string{"POST"}, Paths: []string{"/query"}},
			Consumer: &Consumer{Subsystem: "VN/GOV/H36/onestop", KeyThumbprints: []string{Thumbprint(d.id(t, province))}},
			Purpose:  Purpose{Code: "verify-dossier", LegalBasis: "Điều 15 Nghị định 224/2026/NĐ-CP", DataCategories: []string{"identity"}},
			Limits:   Limits{Rate: "50/s", Daily: 200000}, Evidence: Evidence{TimestampWithin: "24h", Body: "digest"},
		}},
	}
}

func publish(d *Document) {
	g := &d.Grants[0]
	g.Type, g.Consumer, g.Purpose.Code = Publish, nil, ""
}

func encode(t testing.TB, d *Document) []byte {
	t.Helper()
	b, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (d *dir) open(t testing.TB, doc *Document) *Agreement {
	t.Helper()
	a, err := Open(encode(t, doc), center)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (d *dir) statement(t testing.TB, a *Agreement, typ, member string) Statement {
	t.Helper()
	s, err := Statement{Type: typ, Content: a.Content, Member: member, KeyID: d.id(t, member), SignedAt: now.Unix()}.Sign(d.signers[member])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (d *dir) accepted(t testing.TB, doc *Document) *Agreement {
	t.Helper()
	a := d.open(t, doc)
	for _, p := range a.Parties() {
		s := d.statement(t, a, Accept, p)
		if err := a.Check(s, d, now); err != nil {
			t.Fatal(err)
		}
		a.Statements = append(a.Statements, s)
	}
	return a
}

func faultKey(err error) string {
	f, ok := errors.AsType[*Fault](err)
	if !ok {
		return ""
	}
	return strings.TrimPrefix(f.Key, "exchange.agreement.fault.") + " " + f.Field
}

// AGR-SUBMIT-01..06 and what is wrong with a document by itself in 07..12; what depends on sender and store is tested with
// the manager, in exchangeapi.
func TestSubmit(t *testing.T) {
	for _, tt := range []struct {
		name    string
		edit    func(*Document)
		parties []string
		fault   string
	}{
		{"AGR-SUBMIT-01 connect", func(*Document) {}, []string{ministry, province}, ""},
		{"AGR-SUBMIT-02 publish", publish, []string{ministry, center}, ""},
		{"AGR-SUBMIT-03 delegated connect", func(d *Document) { d.Grants[0].Type, d.Grants[0].Delegator = DelegatedConnect, district }, []string{ministry, province, district}, ""},
		{"AGR-SUBMIT-04 delegated publish", func(d *Document) {
			publish(d)
			d.Grants[0].Type, d.Grants[0].Service.Delegator = DelegatedPublish, district
		}, []string{ministry, center, district}, ""},
		{"AGR-SUBMIT-05 several connects", func(d *Document) {
			g := d.Grants[0]
			g.Purpose.Code = "prefill"
			d.Grants = append(d.Grants, g)
		}, []string{ministry, province}, ""},
		{"AGR-SUBMIT-06 unknown hash algorithm", func(d *Document) { d.HashAlg = "sha-1" }, nil, "hash_alg hash_alg"},
		{"AGR-SUBMIT-09 publish mixed with another type", func(d *Document) {
			g := d.Grants[0]
			g.Type, g.Consumer = Publish, nil
			d.Grants = append(d.Grants, g)
		}, nil, "mixed grants"},
		{"AGR-SUBMIT-10 wrong instance", func(d *Document) { d.Instance = "EE" }, nil, "instance instance"},
		{"AGR-SUBMIT-10 wrong instance of the service", func(d *Document) { d.Grants[0].Service.ID = "EE/GOV/G01/population/person" }, nil, "grant grants[0].service.id"},
		{"AGR-SUBMIT-11 end in the past", func(d *Document) {
			d.Validity = Validity{NotBefore: now.Add(-2 * time.Hour).Unix(), NotAfter: now.Add(-time.Hour).Unix()}
		}, nil, "past validity.not_after"},
		{"end before beginning", func(d *Document) { d.Validity.NotAfter = d.Validity.NotBefore }, nil, "validity validity"},
		{"made in the future", func(d *Document) { d.CreatedAt = now.Add(time.Hour).Unix() }, nil, "created created_at"},
		{"no uuid", func(d *Document) { d.IV = "1" }, nil, "iv iv"},
		{"nothing granted", func(d *Document) { d.Grants = nil }, nil, "grants grants"},
		{"the same twice", func(d *Document) { d.Grants = append(d.Grants, d.Grants[0]) }, nil, "grant grants[1]"},
		{"unknown type", func(d *Document) { d.Grants[0].Type = "own" }, nil, "grant grants[0].type"},
		{"a member alone is no consumer", func(d *Document) { d.Grants[0].Consumer.Subsystem = "VN/GOV/H36" }, nil, "grant grants[0].consumer.subsystem"},
		{"an agreement with oneself", func(d *Document) { d.Grants[0].Consumer.Subsystem = "VN/GOV/G01/x" }, nil, "grant grants[0].consumer.subsystem"},
		{"no key", func(d *Document) { d.Grants[0].Consumer.KeyThumbprints = nil }, nil, "grant grants[0].consumer.key_thumbprints"},
		{"no thumbprint", func(d *Document) { d.Grants[0].Consumer.KeyThumbprints = []string{"sha-256:abc"} }, nil, "grant grants[0].consumer.key_thumbprints"},
		{"delegation to oneself", func(d *Document) { d.Grants[0].Type, d.Grants[0].Delegator = DelegatedConnect, province }, nil, "grant grants[0].delegator"},
		{"delegator of a plain connect", func(d *Document) { d.Grants[0].Delegator = district }, nil, "grant grants[0].delegator"},
		{"no purpose", func(d *Document) { d.Grants[0].Purpose.Code = "" }, nil, "grant grants[0].purpose.code"},
		{"no legal basis", func(d *Document) { d.Grants[0].Purpose.LegalBasis = "" }, nil, "grant grants[0].purpose.legal_basis"},
		{"text that turns the line round", func(d *Document) { d.Grants[0].Purpose.LegalBasis = "a\u202eb" }, nil, "grant grants[0].purpose.legal_basis"},
		{"no method", func(d *Document) { d.Grants[0].Service.Methods = nil }, nil, "grant grants[0].service.methods"},
		{"unknown method", func(d *Document) { d.Grants[0].Service.Methods = []string{"get"} }, nil, "grant grants[0].service.methods"},
		{"no path", func(d *Document) { d.Grants[0].Service.Paths = nil }, nil, "grant grants[0].service.paths"},
		{"rate without a unit", func(d *Document) { d.Grants[0].Limits.Rate = "50" }, nil, "grant grants[0].limits.rate"},
		{"negative limit", func(d *Document) { d.Grants[0].Limits.Daily = -1 }, nil, "grant grants[0].limits.daily"},
		{"unknown evidence", func(d *Document) { d.Grants[0].Evidence.Body = "some" }, nil, "grant grants[0].evidence.body"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDir(t)
			doc := d.connect(t)
			tt.edit(doc)
			err := doc.Check("VN", now)
			if tt.fault != "" {
				if faultKey(err) != tt.fault {
					t.Fatalf("Check = %v; want %s", err, tt.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.parties, doc.Parties(center)); diff != "" {
				t.Errorf("parties (-want +got):\n%s", diff)
			}
			a := d.accepted(t, doc)
			if st := a.Status(now); st.State != Valid {
				t.Errorf("state = %s", st.State)
			}
		})
	}
}

func TestOnlyTheCanonicalFormIsRead(t *testing.T) {
	d := newDir(t)
	raw := encode(t, d.connect(t))
	if _, err := Decode(raw); err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string][]byte{
		"space":              append([]byte(" "), raw...),
		"unknown member":     []byte(strings.Replace(string(raw), `"iv"`, `"extra":1,"iv"`, 1)),
		"member twice":       []byte(strings.Replace(string(raw), `"iv"`, `"hash_alg":"sha-256","iv"`, 1)),
		"other letters":      []byte(strings.Replace(string(raw), `"iv"`, `"IV"`, 1)),
		"empty, not null":    []byte(strings.Replace(string(raw), `"delegator":null`, `"delegator":""`, 1)),
		"null, not empty":    []byte(strings.Replace(string(raw), `"fields":[]`, `"fields":null`, 1)),
		"left out":           []byte(strings.Replace(string(raw), `"processing_id":""`, `"x":""`, 1)),
		"two documents":      append(slices.Clone(raw), raw...),
		"a fraction of time": []byte(strings.Replace(string(raw), `"burst":0`, `"burst":0.0`, 1)),
	} {
		if string(other) == string(raw) {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := Decode(other); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	if _, err := Decode(make([]byte, MaxDocument+1)); faultKey(err) != "too_long " {
		t.Errorf("a long document: %v", err)
	}
}

// AGR-ACCEPT, AGR-REJECT, AGR-REVOKE-01..05; 06 is about the address, in exchangeapi.
func TestStatements(t *testing.T) {
	for _, typ := range []string{Accept, Reject, Revoke} {
		upper := "AGR-" + strings.ToUpper(typ)
		for _, tt := range []struct {
			name  string
			edit  func(*testing.T, *dir, *Statement)
			fault string
		}{
			{"-01 valid", func(*testing.T, *dir, *Statement) {}, ""},
			{"-02 signer not a party", func(t *testing.T, d *dir, s *Statement) {
				s.Member, s.KeyID = district, d.id(t, district)
				*s, _ = s.Sign(d.signers[district])
			}, "not_party member"},
			{"-03 not a valid signature", func(_ *testing.T, _ *dir, s *Statement) { s.Signature = strings.Repeat("A", 86) + "==" }, "signature signature"},
			{"-03 a key of another member", func(t *testing.T, d *dir, s *Statement) {
				s.KeyID = d.id(t, ministry)
				*s, _ = s.Sign(d.signers[ministry])
			}, "key key_id"},
			{"-03 a revoked key", func(t *testing.T, d *dir, s *Statement) {
				k := d.keys[s.KeyID]
				k.Revoked = true
				d.keys[s.KeyID] = k
			}, "key key_id"},
			{"-03 a key that had ended", func(t *testing.T, d *dir, s *Statement) {
				k := d.keys[s.KeyID]
				k.NotAfter = now.Add(-time.Hour)
				d.keys[s.KeyID] = k
			}, "key key_id"},
			{"-03 a reason that was not signed", func(_ *testing.T, _ *dir, s *Statement) { s.Reason = "no" }, "signature signature"},
			{"-03 another kind than was signed", func(_ *testing.T, _ *dir, s *Statement) {
				s.Type = map[string]string{Accept: Reject, Reject: Revoke, Revoke: Accept}[s.Type]
			}, "signature signature"},
			{"-03 from the future", func(t *testing.T, d *dir, s *Statement) {
				s.SignedAt = now.Add(time.Hour).Unix()
				*s, _ = s.Sign(d.signers[province])
			}, "signed_at signed_at"},
			{"-04 hash of other content", func(t *testing.T, d *dir, s *Statement) {
				s.Content = ContentHash([]byte("{}"))
				*s, _ = s.Sign(d.signers[province])
			}, "content content_hash"},
			{"-05 other signature type", func(t *testing.T, d *dir, s *Statement) {
				s.Type = "publish"
				*s, _ = s.Sign(d.signers[province])
			}, "type type"},
		} {
			t.Run(upper+tt.name, func(t *testing.T) {
				d := newDir(t)
				a := d.open(t, d.connect(t))
				s := d.statement(t, a, typ, province)
				tt.edit(t, d, &s)
				if err := a.Check(s, d, now); faultKey(err) != tt.fault {
					t.Errorf("Check = %v; want %q", err, tt.fault)
				}
			})
		}
	}
}

func TestStates(t *testing.T) {
	d := newDir(t)
	a := d.open(t, d.connect(t))
	want := func(step string, at time.Time, state State, waiting ...string) {
		t.Helper()
		st := a.Status(at)
		if st.State != state || !slices.Equal(st.Waiting, waiting) {
			t.Errorf("%s: %s, waiting for %v; want %s, %v", step, st.State, st.Waiting, state, waiting)
		}
	}
	end := time.Unix(a.Document.Validity.NotAfter, 0)
	want("nothing said", now, Proposed, ministry, province)
	a.Statements = append(a.Statements, d.statement(t, a, Accept, province))
	want("one", now, Proposed, ministry)
	want("one, too late", end, Expired, ministry)
	a.Statements = append(a.Statements, d.statement(t, a, Accept, ministry))
	want("before it begins", now.Add(-time.Second), Accepted)
	want("all", now, Valid)
	want("last second", end.Add(-time.Second), Valid)
	want("ended", end, Expired)
	a.Statements = append(a.Statements, d.statement(t, a, Revoke, ministry))
	want("revoked", now, Revoked)
	a.Statements = append(a.Statements, d.statement(t, a, Accept, ministry))
	want("accepted again, in vain", now, Revoked)
}

func query(d *dir, t testing.TB) Query {
	return Query{
		Consumer: "VN/GOV/H36/onestop", Service: "VN/GOV/G01/population/person", Method: "POST", Path: "/query", Activity: "verify-dossier",
		KeyID: d.id(t, province), At: now,
	}
}

func TestPermits(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*Query)
		want Verdict
	}{
		{"within", func(*Query) {}, Allowed},
		{"other consumer", func(q *Query) { q.Consumer = "VN/GOV/H36/portal" }, NoGrant},
		{"other service", func(q *Query) { q.Service = "VN/GOV/G01/population/usage" }, NoGrant},
		{"other method", func(q *Query) { q.Method = "GET" }, Outside},
		{"other path", func(q *Query) { q.Path = "/query/1" }, Outside},
		{"other purpose", func(q *Query) { q.Activity = "curiosity" }, WrongPurpose},
		{"no purpose", func(q *Query) { q.Activity = "" }, WrongPurpose},
		{"on behalf of somebody", func(q *Query) { q.Delegator = district }, WrongDelegator},
		{"other key", func(q *Query) { q.KeyID = strings.Repeat("A", 43) }, WrongKey},
		{"a second too late", func(q *Query) { q.At = now.Add(365 * 24 * time.Hour) }, OutOfTime},
		{"a second too early", func(q *Query) { q.At = now.Add(-time.Second) }, OutOfTime},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDir(t)
			snap, err := Compile([]*Agreement{d.accepted(t, d.connect(t))}, d, now)
			if err != nil {
				t.Fatal(err)
			}
			q := query(d, t)
			tt.edit(&q)
			p, v := snap.Choose(q)
			if v != tt.want || (p != nil) != (v == Allowed) {
				t.Errorf("Choose = %v, %v; want %v", p, v, tt.want)
			}
			if v == Allowed && (snap.ByHash(p.Hash) != p || p.Content == p.Hash || !IsHash(p.Hash)) {
				t.Errorf("permit %s of %s is not found by its hash", p.Hash, p.Content)
			}
		})
	}
}

// AGR-KEY-01..04: a key passes, a new one is refused until the old one has named it, and not when the old one was revoked.
func TestKeys(t *testing.T) {
	d := newDir(t)
	snap, err := Compile([]*Agreement{d.accepted(t, d.connect(t))}, d, now)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(keyID string) Verdict {
		q := query(d, t)
		q.KeyID = keyID
		_, v := snap.Choose(q)
		return v
	}
	old := d.id(t, province)
	if v := ask(old); v != Allowed {
		t.Errorf("AGR-KEY-01 renewed certificate, same key: %v", v)
	}
	fresh := d.add(t, province)
	if v := ask(fresh); v != WrongKey {
		t.Errorf("AGR-KEY-02 new key without succession: %v", v)
	}
	d.follows[fresh] = old
	if v := ask(fresh); v != Allowed {
		t.Errorf("AGR-KEY-03 new key with succession: %v", v)
	}
	k := d.keys[old]
	k.Revoked = true
	d.keys[old] = k
	if v := ask(fresh); v != WrongKey {
		t.Errorf("AGR-KEY-04 revoked old key: %v", v)
	}
}

func TestOnlyWhatAllSignedIsCompiled(t *testing.T) {
	d := newDir(t)
	a := d.accepted(t, d.connect(t))
	for name, statements := range map[string][]Statement{
		"nothing":  nil,
		"one":      a.Statements[:1],
		"rejected": append(slices.Clone(a.Statements), d.statement(t, a, Reject, ministry)),
		"revoked":  append(slices.Clone(a.Statements), d.statement(t, a, Revoke, province)),
	} {
		b := *a
		b.Statements = statements
		snap, err := Compile([]*Agreement{&b}, d, now)
		if err != nil {
			t.Fatal(err)
		}
		if p, v := snap.Choose(query(d, t)); p != nil || v != NoGrant {
			t.Errorf("%s: %v", name, v)
		}
	}
}

// DISC-02, DISC-04: the list follows publications in their time.
func TestPublished(t *testing.T) {
	d := newDir(t)
	doc := d.connect(t)
	publish(doc)
	snap, err := Compile([]*Agreement{d.accepted(t, doc)}, d, now)
	if err != nil {
		t.Fatal(err)
	}
	if got := snap.Published(now); !slices.Equal(got, []string{"VN/GOV/G01/population/person"}) {
		t.Errorf("DISC-02: published = %v", got)
	}
	if got := snap.Published(time.Unix(doc.Validity.NotAfter, 0)); len(got) != 0 {
		t.Errorf("DISC-04: published after the end = %v", got)
	}
}

func TestHashesNameOneThing(t *testing.T) {
	d := newDir(t)
	doc := d.connect(t)
	g := doc.Grants[0]
	g.Purpose.Code = "prefill"
	doc.Grants = append(doc.Grants, g)
	seen := map[string]bool{ContentHash(encode(t, doc)): true}
	for _, content := range []string{ContentHash(encode(t, doc)), ContentHash([]byte("other"))} {
		for i := range doc.Grants {
			h, err := doc.GrantHash(content, i)
			if err != nil || seen[h] {
				t.Errorf("grant %d of %s: %s, %v", i, content, h, err)
			}
			seen[h] = true
		}
	}
}

// Terms are what two configurations compare: who fills in keys and times does not matter, what is granted does.
func TestTerms(t *testing.T) {
	d := newDir(t)
	draft, full := d.connect(t), d.connect(t)
	draft.IV, draft.CreatedAt, draft.HashAlg, draft.Validity.NotBefore, draft.Grants[0].Consumer = "", 0, "", 0, &Consumer{Subsystem: "VN/GOV/H36/onestop"}
	terms := func(doc *Document) string {
		b, err := doc.Terms()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if terms(draft) != terms(full) {
		t.Errorf("terms differ:\n%s\n%s", terms(draft), terms(full))
	}
	draft.Fill("0d4b6c1e-7f0a-4c55-9a43-2f6f1f0f9a11", now, func(string) []string { return []string{d.id(t, province)} })
	if diff := cmp.Diff(string(encode(t, full)), string(encode(t, draft))); diff != "" {
		t.Errorf("filled (-want +got):\n%s", diff)
	}
	full.Grants[0].Purpose.Fields = []string{"fullName"}
	if terms(draft) == terms(full) {
		t.Error("other fields are the same terms")
	}
}

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		l     Limits
		rate  float64
		burst int64
		ok    bool
	}{
		{Limits{}, 0, 0, true},
		{Limits{Rate: "50/s"}, 50, 50, true},
		{Limits{Rate: "30/m"}, 0.5, 1, true},
		{Limits{Rate: "7200/h", Burst: 9}, 2, 9, true},
		{Limits{Rate: "0/s"}, 0, 0, false},
		{Limits{Rate: "+5/s"}, 0, 0, false},
		{Limits{Rate: "1e9/s"}, 0, 0, false},
		{Limits{Rate: "5/d"}, 0, 0, false},
	} {
		rate, burst, err := tt.l.PerSecond()
		if rate != tt.rate || burst != tt.burst || (err == nil) != tt.ok {
			t.Errorf("PerSecond(%+v) = %v, %v, %v", tt.l, rate, burst, err)
		}
	}
}

func TestCheckAllocatesNothing(t *testing.T) {
	d := newDir(t)
	snap, err := Compile([]*Agreement{d.accepted(t, d.connect(t))}, d, now)
	if err != nil {
		t.Fatal(err)
	}
	q := query(d, t)
	if n := testing.AllocsPerRun(100, func() {
		if _, v := snap.Choose(q); v != Allowed {
			t.Fatal(v)
		}
	}); n > 0 {
		t.Errorf("a check allocates %v times", n)
	}
}

func FuzzDecode(f *testing.F) {
	d := newDir(f)
	f.Add(encode(f, d.connect(f)))
	f.Add([]byte(`{"grants":[{"consumer":null}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		doc, err := Decode(raw)
		if err != nil {
			return
		}
		again, err := doc.Encode()
		if err != nil || string(again) != string(raw) {
			t.Fatalf("decoded %q, encoded %q, %v", raw, again, err)
		}
		if doc.Check("VN", now) == nil && len(doc.Parties(center)) < 1 {
			t.Fatalf("no parties: %s", raw)
		}
	})
}

func FuzzStatement(f *testing.F) {
	d := newDir(f)
	a := d.open(f, d.connect(f))
	good := d.statement(f, a, Accept, ministry)
	b, err := json.Marshal(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s Statement
		if json.Unmarshal(raw, &s) != nil {
			return
		}
		// ECDSA signatures can be changed into another valid one of the same content, so the content is compared.
		if a.Check(s, d, now) == nil {
			s.Signature = good.Signature
			if s != good {
				t.Fatalf("a statement that nobody signed was taken: %s", raw)
			}
		}
	})
}
