package agreement

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// TestBesideGrants holds what parties sign besides permissions: it is bounded, it is part of what is signed and of the
// terms, and an agreement without it has the bytes it always had.
func TestBesideGrants(t *testing.T) {
	d := newDir(t)
	digest := ContentHash([]byte("the file"))
	whole := func() *Document {
		doc := d.connect(t)
		doc.Properties = map[string]string{"regulated_area": "dân cư", "a.b-c": "x"}
		doc.ExternalContract = &ExternalContract{Number: "12/2026/HĐ-BCA-LĐ", Date: "2026-11-01", Digest: digest}
		return doc
	}
	plain := encode(t, d.connect(t))
	if strings.Contains(string(plain), "properties") || strings.Contains(string(plain), "external_contract") {
		t.Errorf("an agreement that says nothing more has other bytes than before: %s", plain)
	}
	raw := encode(t, whole())
	if !strings.Contains(string(raw), `"external_contract":{"date":"2026-11-01","digest":"`+digest+`","number":"12/2026/HĐ-BCA-LĐ"}`) ||
		!strings.Contains(string(raw), `"properties":{"a.b-c":"x","regulated_area":"dân cư"}`) {
		t.Errorf("canonical form %s", raw)
	}
	back, err := Decode(raw)
	if err != nil || back.Properties["regulated_area"] != "dân cư" || *back.ExternalContract != *whole().ExternalContract {
		t.Fatalf("Decode = %+v, %v", back, err)
	}
	if err := back.Check("VN", now); err != nil {
		t.Errorf("Check = %v", err)
	}
	a := d.accepted(t, whole()) // every party signs it
	if a.Status(now).State != Valid {
		t.Errorf("state = %s", a.Status(now).State)
	}
	one, err1 := whole().Terms()
	two, err2 := d.connect(t).Terms()
	if err1 != nil || err2 != nil || string(one) == string(two) || ContentHash(raw) == ContentHash(plain) {
		t.Errorf("it is no part of the terms: %v %v", err1, err2)
	}
	for _, empty := range []string{`"properties":{},`, `"properties":null,`, `"external_contract":null,`} {
		if _, err := Decode([]byte(strings.Replace(string(plain), `"grants":`, empty+`"grants":`, 1))); err == nil {
			t.Errorf("%s is a second way to say nothing", empty)
		}
	}
	many := map[string]string{}
	for i := range maxProperties + 1 {
		many[fmt.Sprint("p", i)] = "x"
	}
	for name, edit := range map[string]func(*Document){
		"beside properties":               func(doc *Document) { maps.Copy(doc.Properties, many) },
		"beside properties ":              func(doc *Document) { doc.Properties["a b"] = "x" },
		"beside properties  ":             func(doc *Document) { doc.Properties["a"] = strings.Repeat("x", maxProperty+1) },
		"beside properties   ":            func(doc *Document) { doc.Properties["a"] = "x\ny" },
		"beside properties    ":           func(doc *Document) { doc.Properties["a"] = "" },
		"beside external_contract.number": func(doc *Document) { doc.ExternalContract.Number = "" },
		"beside external_contract.date":   func(doc *Document) { doc.ExternalContract.Date = "01/11/2026" },
		"beside external_contract.digest": func(doc *Document) { doc.ExternalContract.Digest = "sha-256:x" },
	} {
		doc := whole()
		edit(doc)
		if got := faultKey(doc.Check("VN", now)); got != strings.TrimRight(name, " ") {
			t.Errorf("Check = %q; want %q", got, strings.TrimRight(name, " "))
		}
	}
}
