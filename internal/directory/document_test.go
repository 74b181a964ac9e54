package directory

import (
	"crypto/ed25519"
	"strings"
	"testing"

	"truc/internal/i18n"
)

func testDocument() *Document {
	key := func(n byte) PublicKey {
		return NewPublicKey(ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune('a'+n)), 32))).Public().(ed25519.PublicKey), 0, 0)
	}
	return &Document{
		Instance: "VN", Version: 3, Prev: "00", IssuedAt: 1, ExpiresAt: 2, DirectoryKeys: []PublicKey{key(0)}, CA: []string{}, Revoked: []string{}, TSA: []TSA{},
		Members: []Member{{Class: "GOV", Code: "H36", Name: i18n.Text{"vi": "Lâm Đồng"}, Unit: "68"}},
		Nodes: []Node{{
			ID: "VN/GOV/H36/node1", Member: "VN/GOV/H36", LinkURL: "https://127.0.0.1:7131", Subsystems: []string{"VN/GOV/H36/onestop"},
			TLSKeyID: key(1).KeyID, Keys: []PublicKey{key(2)},
		}},
		Services:   []Service{{ID: "VN/GOV/H36/onestop/facts", Node: "VN/GOV/H36/node1", Kind: "rest"}},
		Subsystems: []Subsystem{{ID: "VN/GOV/H36/onestop", Name: i18n.Text{"vi": "Một cửa"}, State: Registered}},
		Groups:     []Group{{Code: "provinces", Members: []string{"VN/GOV/H36/onestop"}}},
		Witnesses:  []Witness{{Node: "VN/GOV/H36/node1", Key: "w+1+k", URL: "https://w.example/witness"}},
	}
}

func TestValidate(t *testing.T) {
	if err := testDocument().validate(); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*Document){
		"foreign node":      func(d *Document) { d.Nodes[0].Member = "VN/GOV/G01" },
		"unknown member":    func(d *Document) { d.Members = nil },
		"member twice":      func(d *Document) { d.Members = append(d.Members, d.Members[0]) },
		"node twice":        func(d *Document) { d.Nodes = append(d.Nodes, d.Nodes[0]) },
		"foreign subsystem": func(d *Document) { d.Nodes[0].Subsystems = []string{"VN/GOV/G01/population"} },
		"plain link":        func(d *Document) { d.Nodes[0].LinkURL = "http://127.0.0.1:1" },
		"link with path":    func(d *Document) { d.Nodes[0].LinkURL = "https://127.0.0.1:1/x" },
		"one key for two":   func(d *Document) { d.Nodes[0].TLSKeyID = d.Nodes[0].Keys[0].KeyID },
		"wrong key id":      func(d *Document) { d.Nodes[0].Keys[0].KeyID = d.DirectoryKeys[0].KeyID },
		"foreign service":   func(d *Document) { d.Services[0].ID = "VN/GOV/G01/population/person" },
		"homeless service":  func(d *Document) { d.Services[0].Node = "VN/GOV/H36/node2" },
		"other instance":    func(d *Document) { d.Instance = "XX" },
		"dots":              func(d *Document) { d.Nodes[0].Subsystems = []string{"VN/GOV/H36/.."} },
		"group's order":     func(d *Document) { d.Groups[0].Members = append(d.Groups[0].Members, "VN/GOV/A/x") },
		"foreign in group":  func(d *Document) { d.Groups[0].Members = []string{"XX/GOV/H36/onestop"} },
		"group's code":      func(d *Document) { d.Groups[0].Code = "a/b" },
		"witness by ftp":    func(d *Document) { d.Witnesses[0].URL = "ftp://w.example" },
		"keyless witness":   func(d *Document) { d.Witnesses[0].Key = "" },
		"odd state":         func(d *Document) { d.Nodes[0].State = "saved" },
		"odd subsystem":     func(d *Document) { d.Subsystems[0].State = "gone" },
		"homeless provider": func(d *Document) { d.Services[0].Nodes = []string{"VN/GOV/H36/node1", "VN/GOV/H36/node2"} },
		"old key of two":    func(d *Document) { d.Nodes[0].OldTLSKeyIDs = []string{d.Nodes[0].Keys[0].KeyID} },
		"no directory key":  func(d *Document) { d.DirectoryKeys = nil },
	} {
		d := testDocument()
		edit(d)
		if err := d.validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzOpenDocument(f *testing.F) {
	d := testDocument()
	raw, err := d.Canonical()
	if err != nil {
		f.Fatal(err)
	}
	k := ed25519.NewKeyFromSeed([]byte(strings.Repeat("a", 32)))
	sig, err := sign(k, domainDocument, raw)
	if err != nil {
		f.Fatal(err)
	}
	good := Envelope{Document: raw, Signatures: []Signature{sig}}.Marshal()
	f.Add(good)
	f.Add([]byte(`{"document":{},"signatures":[]}`))
	a := d.Anchor()
	if _, _, err := a.Open(good); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, got, err := a.Open(b); err == nil && string(got) != string(raw) {
			t.Fatalf("accepted a document nobody signed: %s", got)
		}
	})
}

func FuzzDecodeDocument(f *testing.F) {
	raw, err := testDocument().Canonical()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := decodeDocument(b)
		if err != nil {
			return
		}
		for _, n := range d.Nodes {
			if _, ok := d.Node(n.ID); !ok {
				t.Fatalf("node %q is not found", n.ID)
			}
		}
		_ = d.CAPool()
	})
}

func FuzzJoinRequest(f *testing.F) {
	f.Add([]byte(`{"request":{"token_id":"x"},"signatures":[{"key_id":"k","sig":"s"}]}`))
	pub := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSigned(b)
		if err != nil {
			return
		}
		var in JoinRequest
		if err := s.open(&in, domainJoin, pub); err == nil {
			t.Fatal("a request nobody signed was opened")
		}
		_, _ = parseCSR(in.CSR)
	})
}

func FuzzToken(f *testing.F) {
	f.Add(Token{
		ID: "x", Instance: "VN", Center: "http://127.0.0.1:7100", Anchor: strings.Repeat("a", 43), Member: "VN/GOV/H36", Node: "VN/GOV/H36/node1",
		Seed: strings.Repeat("A", 43), Expires: 1,
	}.String())
	f.Fuzz(func(t *testing.T, s string) {
		tok, err := ParseToken(s)
		if err != nil {
			return
		}
		if again, err := ParseToken(tok.String()); err != nil || again != tok {
			t.Fatalf("%+v does not read back: %v", tok, err)
		}
	})
}

func FuzzCurrent(f *testing.F) {
	f.Add("h;1;k;s")
	f.Fuzz(func(_ *testing.T, s string) { _, _ = ParseCurrent(s) })
}
