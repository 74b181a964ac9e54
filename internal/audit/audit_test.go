package audit

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/translog"
	"truc/lang"
)

func sampleAccess() Access {
	return Access{
		SubjectID: "099204000123", At: time.Date(2026, 11, 21, 1, 30, 0, 123456000, time.UTC), Agency: "H36", AgencyName: "UBND tỉnh Lâm Đồng",
		Subsystem: "VN/GOV/H36/onestop", Register: "population", Activity: "prefill", Purpose: "registers.purpose.prefill", Text: "Điền sẵn tờ khai \"khai sinh\"\n<&>\u2028",
		LegalBasis: "Điều 15 Nghị định 224/2026/NĐ-CP", Dossier: "H36.14-261121-0001", Fields: []string{"name", "birthdate"}, Kind: Query,
		ExchangeID: "x-1", RequestID: "r-1", HiddenReason: "", HiddenUntil: time.Time{},
	}
}

func TestRecordRoundTrip(t *testing.T) {
	a := sampleAccess()
	a.HiddenReason, a.HiddenUntil = "law", a.At.AddDate(1, 0, 0)
	b, err := a.record()
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseRecord(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, got); diff != "" {
		t.Errorf("parseRecord(record) (-want +got):\n%s", diff)
	}
}

func TestRecordRefusesWhatIsIncomplete(t *testing.T) {
	for name, change := range map[string]func(a *Access){
		"no subject":    func(a *Access) { a.SubjectID = "" },
		"short subject": func(a *Access) { a.SubjectID = "09920400012" },
		"letters":       func(a *Access) { a.SubjectID = "09920400012x" },
		"no agency":     func(a *Access) { a.Agency = "" },
		"kind":          func(a *Access) { a.Kind = "act" },
		"bad text":      func(a *Access) { a.Text = "\xff" },
		"too long":      func(a *Access) { a.Text = strings.Repeat("x", maxRecord) },
	} {
		a := sampleAccess()
		change(&a)
		if _, err := a.record(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestCanonicalIsWhatJSONReads(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := map[string]any{}
		for k, v := range rapid.MapOf(rapid.String(), rapid.String()).Draw(rt, "m") {
			m[strings.ToValidUTF8(k, "?")] = strings.ToValidUTF8(v, "?")
		}
		b, err := canonical(m)
		if err != nil {
			rt.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(b, &got); err != nil || !cmp.Equal(got, m) {
			rt.Errorf("canonical %s reads back as %v, %v", b, got, err)
		}
	})
}

func TestLeaf(t *testing.T) {
	l := Leaf{Seq: 7, Time: sampleAccess().At, Kind: Self, Commit: [32]byte{1}, Tag: [16]byte{2}, Prev: [32]byte{3}}
	b := l.Marshal()
	if len(b) != LeafSize {
		t.Fatalf("leaf has %d bytes, want %d", len(b), LeafSize)
	}
	got, err := ParseLeaf(b)
	if diff := cmp.Diff(l, got); err != nil || diff != "" {
		t.Errorf("ParseLeaf: %v\n%s", err, diff)
	}
	for _, bad := range [][]byte{nil, b[1:], append(slices.Clone(b), 0), bytes.Repeat([]byte{0}, LeafSize)} {
		if _, err := ParseLeaf(bad); err == nil {
			t.Errorf("ParseLeaf(%x) accepted", bad)
		}
	}
}

func FuzzParseLeaf(f *testing.F) {
	f.Add(Leaf{Seq: 7, Kind: Self, Time: time.Unix(1, 0)}.Marshal())
	f.Add(Leaf{Seq: 7, Kind: act, Time: time.Unix(-1, 0)}.Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := ParseLeaf(b); err == nil && !bytes.Equal(l.Marshal(), b) {
			t.Errorf("Marshal(Parse(%x)) = %x", b, l.Marshal())
		}
	})
}

// sampleReceipt makes a receipt of two lines in a log of five entries, without any store.
func sampleReceipt(t testing.TB) (receipt []byte, vkey string) {
	t.Helper()
	log, err := translog.Open(translog.Options{
		Dir: t.TempDir(), Origin: "truc/VN/G01/audit", Key: ed25519.NewKeyFromSeed(make([]byte, 32)), Now: time.Now, NoSync: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	var lines []packedLine
	for i := range 5 {
		a := sampleAccess()
		a.Dossier = strings.Repeat("x", i)
		l := packedLine{salt: [16]byte{byte(i)}}
		if l.record, err = a.record(); err != nil {
			t.Fatal(err)
		}
		leaf := Leaf{Seq: int64(i + 1), Time: a.At, Kind: a.Kind, Commit: commitment(l.salt, l.record)}.Marshal()
		at, err := log.Append(t.Context(), leaf)
		if err != nil {
			t.Fatal(err)
		}
		if l.proof, err = log.ReceiptExtra(at, leaf); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	receipt, err = packReceipt(lines[1:3], log.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	return receipt, log.VerifierKey()
}

func TestVerifyReceipt(t *testing.T) {
	receipt, vkey := sampleReceipt(t)
	rep, err := VerifyReceipt(receipt, VerifyOptions{TrustedVKeys: []string{"other", vkey}})
	if err != nil {
		t.Fatal(err)
	}
	if !rep.KeyTrusted || rep.Origin != "truc/VN/G01/audit" || rep.TreeSize != 3 || len(rep.Lines) != 2 || rep.Lines[1].Index != 2 {
		t.Errorf("report = %+v", rep)
	}
	if l, a := rep.Lines[0], sampleAccess(); !l.Time.Equal(a.At) || l.Agency != a.Agency || l.Purpose != a.Text || !slices.Equal(l.Fields, a.Fields) {
		t.Errorf("line = %+v", l)
	}
	if rep, err = VerifyReceipt(receipt, VerifyOptions{}); err != nil || rep.KeyTrusted {
		t.Errorf("without a trusted key: %+v, %v", rep, err)
	}
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range i18n.Langs {
		for _, s := range rep.Statements {
			if text := cat.T(l, s.Key, s.Args...); strings.ContainsAny(text, "[{") {
				t.Errorf("%s: %q", l, text)
			}
		}
	}
}

// members unpacks a zip file without any rule.
func members(t testing.TB, b []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if out[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

type member struct {
	name    string
	content []byte
}

func pack(t testing.TB, files []member) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, f := range files {
		w, err := z.Create(f.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func sortedMembers(m map[string][]byte) []member {
	var out []member
	for _, n := range []string{readmeName, recordsName, saltsName, vkeysName, proofName(0), proofName(1)} {
		out = append(out, member{n, m[n]})
	}
	return out
}

// corrupted returns receipts that must all be refused, by name.
func corrupted(t testing.TB, receipt []byte) map[string][]byte {
	out := map[string][]byte{"empty": nil, "no zip": []byte("PK"), "cut": receipt[:len(receipt)-30]}
	files := sortedMembers(members(t, receipt))
	change := func(name string, f func(files []member) []member) {
		c := make([]member, len(files))
		for i, m := range files {
			c[i] = member{m.name, bytes.Clone(m.content)}
		}
		out[name] = pack(t, f(c))
	}
	replace := func(i int, old, with string) func([]member) []member {
		return func(c []member) []member {
			if !bytes.Contains(c[i].content, []byte(old)) {
				t.Fatalf("%s does not contain %q", c[i].name, old)
			}
			c[i].content = bytes.Replace(c[i].content, []byte(old), []byte(with), 1)
			return c
		}
	}
	change("another agency", replace(1, `"H36"`, `"H57"`))
	change("another time", replace(1, "01:30", "01:31"))
	change("another spelling of the same record", replace(1, "Đ", `\u0110`))
	change("a blank more", replace(1, ",", ", "))
	change("a field twice", replace(1, `"agency":"H36"`, `"agency":"H57","agency":"H36"`))
	change("a field more", replace(1, `"v":`, `"u":"","v":`))
	change("a number in place of a text", replace(1, `"text":"`, `"text":1,"x":"`))
	change("another salt", replace(2, `"01`, `"02`))
	change("capital salt", replace(2, "01", "0A"))
	change("another key", func(c []member) []member {
		k, _ := translog.VerifierKey("truc/VN/G01/audit", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)).Public().(ed25519.PublicKey))
		c[3].content = []byte("log " + k + "\nquorum none\n")
		return c
	})
	change("a quorum", replace(3, "none", "all"))
	change("another index", replace(4, "index 1", "index 0"))
	change("another size", replace(4, "audit\n2\n", "audit\n3\n"))
	change("proofs exchanged", func(c []member) []member { c[4].content, c[5].content = c[5].content, c[4].content; return c })
	change("a proof missing", func(c []member) []member { return c[:5] })
	change("a name twice", func(c []member) []member { return append(c[:5], member{proofName(0), c[5].content}) })
	change("a file more", func(c []member) []member { return append(c, member{"../../x", nil}) })
	change("no readme", func(c []member) []member { return c[1:] })
	change("bomb", func(c []member) []member { c[0].content = make([]byte, maxReceiptFile+1); return c })
	change("no records", func(c []member) []member { c[1].content = []byte("[\n\n]\n"); return c })
	for i, m := range files[1:] {
		for k := range 24 { // flipped bits all over each member
			pos := (k*len(m.content)/24 + 7) % len(m.content)
			change(m.name+" bit "+string(rune('a'+k)), func(c []member) []member { c[i+1].content[pos] ^= 1 << (k % 8); return c })
		}
	}
	return out
}

func TestVerifyReceiptRefusesCorruption(t *testing.T) {
	receipt, vkey := sampleReceipt(t)
	for name, b := range corrupted(t, receipt) {
		rep, err := VerifyReceipt(b, VerifyOptions{TrustedVKeys: []string{vkey}})
		if !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %+v, %v; want an errs.Invalid", name, rep, err)
		}
		if rep.Origin != "" && err != nil {
			t.Errorf("%s: refused, yet a report was given", name)
		}
	}
}

func FuzzVerifyReceipt(f *testing.F) {
	receipt, vkey := sampleReceipt(f)
	want, err := VerifyReceipt(receipt, VerifyOptions{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(receipt)
	f.Fuzz(func(t *testing.T, b []byte) {
		rep, err := VerifyReceipt(b, VerifyOptions{TrustedVKeys: []string{vkey}})
		if err != nil || !rep.KeyTrusted {
			return
		}
		for _, l := range rep.Lines { // whoever makes a receipt for the trusted key has not invented a line
			if !slices.ContainsFunc(want.Lines, func(w ProvenLine) bool { return cmp.Equal(l, w) }) {
				t.Errorf("proves %+v", l)
			}
		}
	})
}

func FuzzUnpackedReceipt(f *testing.F) {
	receipt, vkey := sampleReceipt(f)
	m := sortedMembers(members(f, receipt))
	f.Add(m[1].content, m[2].content, m[3].content, m[4].content, m[5].content)
	f.Fuzz(func(t *testing.T, records, salts, keys, proof1, proof2 []byte) {
		b := pack(t, []member{{readmeName, nil}, {recordsName, records}, {saltsName, salts}, {vkeysName, keys}, {proofName(0), proof1}, {proofName(1), proof2}})
		rep, err := VerifyReceipt(b, VerifyOptions{TrustedVKeys: []string{vkey}})
		if err == nil && rep.KeyTrusted && !bytes.Equal(records, m[1].content) {
			t.Errorf("accepted %q", records)
		}
	})
}

func TestUsageShape(t *testing.T) {
	a := sampleAccess()
	u := Line{Access: a}.Usage(func(key string) string { return "text of " + key })
	b, err := json.Marshal(UsagePage{TotalUsages: 1, Usages: []Usage{u}})
	want := `{"totalUsages":1,"usages":[{"logtime":"2026-11-21T08:30:00.123456+07:00","action":"text of registers.purpose.prefill","receiverCode":"H36","receiverName":"UBND tỉnh Lâm Đồng","receiverSystem":"VN/GOV/H36/onestop"}]}`
	if err != nil || string(b) != want {
		t.Errorf("usage = %s, %v\nwant %s", b, err, want)
	}
}

func TestFileKeys(t *testing.T) {
	k := FileKeys{Dir: t.TempDir() + "/keys"}
	if _, err := k.Load(2026); !errors.Is(err, ErrNoKey) {
		t.Fatalf("Load = %v, want ErrNoKey", err)
	}
	made, err := k.Create(2026)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(k.path(2026))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", st.Mode(), err)
	}
	if got, err := k.Load(2026); err != nil || !bytes.Equal(got, made) {
		t.Errorf("Load = %x, %v; want %x", got, err, made)
	}
	if _, err := k.Create(2026); !errors.Is(err, os.ErrExist) {
		t.Errorf("second Create = %v, want ErrExist", err)
	}
	if left, _ := os.ReadDir(k.Dir); len(left) != 1 {
		t.Errorf("files left: %v", left)
	}
	if err := k.Destroy(2026); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Load(2026); !errors.Is(err, ErrKeyDestroyed) {
		t.Errorf("Load = %v, want ErrKeyDestroyed", err)
	}
	if _, err := k.Create(2026); err == nil {
		t.Error("a destroyed key was made anew")
	}
}

func TestCatalogueHasOurKeysInBothLanguages(t *testing.T) {
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range cat.Keys("vi") {
		if strings.HasPrefix(k, "audit.") && !cat.Has("en", k) {
			t.Errorf("%s is missing in English", k)
		}
	}
	for _, k := range []string{"audit.cannot_record", "audit.bad_subject", "audit.bad_page", "audit.line_unknown", "audit.no_proof", "audit.not_yet_logged"} {
		if !cat.Has("vi", k) {
			t.Errorf("%s is missing", k)
		}
	}
}
