package sign

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"image"
	"image/color"
	"image/png"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/i18n"
	"truc/internal/pki"
	"truc/lang"
)

// seen is what a test compares of a report.
type seen struct {
	State    State
	Coverage Coverage
	Level    string
	Source   TimeSource
	Verdict  string
}

func verify(tb testing.TB, pdf []byte, opt VerifyOptions) []seen {
	tb.Helper()
	reports, err := VerifyPDF(pdf, opt)
	if err != nil {
		tb.Fatalf("VerifyPDF: %v", err)
	}
	var out []seen
	for i, r := range reports {
		if r.Order != i+1 {
			tb.Errorf("Order = %d; want %d", r.Order, i+1)
		}
		out = append(out, seen{r.State, r.Coverage, r.Level, r.TimeSource, r.Verdict.Key})
	}
	return out
}

var (
	goodBT     = seen{Valid, CoverWhole, "B-T", TimeStamped, "sign.verdict.valid"}
	extendedBT = seen{Valid, CoverExtended, "B-T", TimeStamped, "sign.verdict.valid"}
	changedBT  = seen{Changed, CoverChanged, "B-T", TimeStamped, "sign.verdict.changed"}
)

func TestVerifyPDF(t *testing.T) {
	b := newBench(t, pki.P256)
	for name, pdf := range inputs(t) {
		t.Run(name, func(t *testing.T) {
			if got := verify(t, pdf, b.verifyOptions()); got != nil {
				t.Errorf("unsigned: %v", got)
			}
			signed := b.personThenAgency(t, pdf)
			if diff := cmp.Diff([]seen{extendedBT, goodBT}, verify(t, signed, b.verifyOptions())); diff != "" {
				t.Errorf("signed (-want +got):\n%s", diff)
			}
			reports, _ := VerifyPDF(signed, b.verifyOptions())
			r := reports[0]
			got := []string{r.Signer, r.Title, r.Agency, r.AgencyCode, r.Reason, r.Location, r.SubFilter, r.Field}
			want := []string{"Nguyễn Văn An", "Chủ tịch", "UBND tỉnh Lâm Đồng", "H36", "Phê duyệt", "Đà Lạt", "ETSI.CAdES.detached", "Signature1"}
			if diff := cmp.Diff(want, got); diff != "" || !r.Test || !r.Time.Equal(b.now) {
				t.Errorf("report (-want +got):\n%s test %v time %v", diff, r.Test, r.Time)
			}
		})
	}
}

// TestVerifyChangedByte changes single bytes all over a signed file: no signature over that byte may stay valid.
func TestVerifyChangedByte(t *testing.T) {
	b := newBench(t, pki.P256)
	signed := b.sign(t, samplePDF(t), PDFOptions{Identity: b.person, Timestamper: b.tsa})
	f, err := openPDF(signed)
	if err != nil {
		t.Fatal(err)
	}
	fields, _ := f.signatureFields()
	from, to, _, err := f.byteRange(fields[0].sig)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(signed); at += 11 {
		if at >= from && at < to {
			continue // wrapping of the signature value, parts of which nothing protects
		}
		reports, err := VerifyPDF(flip(signed, at), b.verifyOptions())
		for _, r := range reports {
			if r.State != Broken && r.State != NotChecked {
				t.Errorf("byte %d changed, state %v (%v)", at, r.State, err)
			}
		}
	}
}

func TestVerifyLaterChanges(t *testing.T) {
	b := newBench(t, pki.P256)
	base := b.sign(t, samplePDF(t), PDFOptions{Identity: b.person, Timestamper: b.tsa})
	update := func(change func(u *pdfUpdate)) []byte {
		f, err := openPDF(base)
		if err != nil {
			t.Fatal(err)
		}
		u := newPDFUpdate(f)
		change(u)
		out, _ := u.write()
		return out
	}
	page := func(u *pdfUpdate) (pdfRef, pdfDict) {
		ref, d, err := u.f.page(1)
		if err != nil {
			t.Fatal(err)
		}
		return ref, d
	}
	root := func(u *pdfUpdate) (pdfRef, pdfDict) {
		ref, d, err := u.f.catalog()
		if err != nil {
			t.Fatal(err)
		}
		return ref, d
	}
	annotate := func(u *pdfUpdate, annot pdfDict) {
		ref, d := page(u)
		if err := u.extend(d, ref, "Annots", u.add(annot)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		pdf  []byte
		want seen
	}{
		{"other page content", update(func(u *pdfUpdate) {
			ref, d := page(u)
			u.set(ref, d.with("Contents", u.add(pdfStream{raw: []byte("0 0 100 100 re f")})))
		}), changedBT},
		{"content stream replaced", update(func(u *pdfUpdate) {
			_, d := page(u)
			u.set(d.get("Contents").(pdfRef), pdfStream{raw: []byte("0 0 100 100 re f")})
		}), changedBT},
		{"pages replaced", update(func(u *pdfUpdate) {
			ref, d := root(u)
			u.set(ref, d.with("Pages", u.add(pdfDict{})))
		}), changedBT},
		{"open action", update(func(u *pdfUpdate) {
			ref, d := root(u)
			u.set(ref, d.with("OpenAction", pdfArray{}))
		}), changedBT},
		{"sticky note", update(func(u *pdfUpdate) {
			annotate(u, pdfDict{{"Type", pdfName("Annot")}, {"Subtype", pdfName("FreeText")}})
		}), changedBT},
		{"text field over the page", update(func(u *pdfUpdate) {
			annotate(u, pdfDict{{"Type", pdfName("Annot")}, {"Subtype", pdfName("Widget")}, {"FT", pdfName("Tx")}})
		}), changedBT},
		{"appearance of the signature", update(func(u *pdfUpdate) {
			_, cat := root(u)
			form, _ := u.f.dict(cat.get("AcroForm"))
			field := form.get("Fields").(pdfArray)[0].(pdfRef)
			d, _ := u.f.dict(field)
			u.set(field, d.with("Rect", pdfRect([4]float64{0, 0, 600, 800})))
		}), changedBT},
		{"bytes behind the end", append(bytes.Clone(base), "4 0 obj\n<<>>\nendobj\n"...), changedBT},
		{"security store", update(func(u *pdfUpdate) {
			ref, d := root(u)
			u.set(ref, d.with("DSS", u.add(pdfDict{{"Certs", pdfArray{}}})))
		}), extendedBT},
		{"title", update(func(u *pdfUpdate) {
			info := u.f.trailer.get("Info").(pdfRef)
			d, _ := u.f.dict(info)
			u.set(info, d.with("Title", pdfText("Khác")))
		}), extendedBT},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff([]seen{c.want}, verify(t, c.pdf, b.verifyOptions())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if c.want == changedBT && c.name != "pages replaced" && c.name != "bytes behind the end" { // a further signature does not heal it
				got := verify(t, b.sign(t, c.pdf, PDFOptions{Identity: b.agency, Timestamper: b.tsa}), b.verifyOptions())
				if diff := cmp.Diff([]seen{changedBT, goodBT}, got); diff != "" {
					t.Errorf("with a second signature (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestVerifyDanglingReference prepares a page that mentions an object which is defined only after signing.
func TestVerifyDanglingReference(t *testing.T) {
	b := newBench(t, pki.P256)
	f, err := openPDF(samplePDF(t))
	if err != nil {
		t.Fatal(err)
	}
	u := newPDFUpdate(f)
	ref, d, _ := f.page(1)
	u.set(ref, d.with("Contents", pdfArray{d.get("Contents"), pdfRef{num: 900}}))
	prepared, _ := u.write()
	signed := b.sign(t, prepared, PDFOptions{Identity: b.person, Timestamper: b.tsa})
	if f, err = openPDF(signed); err != nil {
		t.Fatal(err)
	}
	u = newPDFUpdate(f)
	u.set(pdfRef{num: 900}, pdfStream{raw: []byte("0 0 100 100 re f")})
	u.next = 901
	attacked, _ := u.write()
	if diff := cmp.Diff([]seen{changedBT}, verify(t, attacked, b.verifyOptions())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestVerifyTrust(t *testing.T) {
	b, stranger := newBench(t, pki.P256), newBench(t, pki.P256)
	bb := b.sign(t, samplePDF(t), PDFOptions{Identity: b.person})
	bt := b.sign(t, samplePDF(t), PDFOptions{Identity: b.person, Timestamper: b.tsa})
	foreignTSA := b.sign(t, samplePDF(t), PDFOptions{Identity: b.person, Timestamper: stranger.tsa})
	later := b.verifyOptions()
	later.Now = func() time.Time { return b.now.AddDate(3, 0, 0) }
	for _, c := range []struct {
		name string
		pdf  []byte
		opt  VerifyOptions
		want seen
	}{
		{"B-B", bb, b.verifyOptions(), seen{Valid, CoverWhole, "B-B", TimeClaimed, "sign.verdict.valid"}},
		{"other roots", bt, stranger.verifyOptions(), seen{Untrusted, CoverWhole, "B-B", TimeClaimed, "sign.verdict.untrusted"}},
		{"no roots", bb, VerifyOptions{Now: b.verifyOptions().Now}, seen{Untrusted, CoverWhole, "B-B", TimeClaimed, "sign.verdict.untrusted"}},
		{"expired B-B", bb, later, seen{Expired, CoverWhole, "B-B", TimeClaimed, "sign.verdict.expired"}},
		{"expired later B-T", bt, later, goodBT},
		{"foreign time-stamp", foreignTSA, b.verifyOptions(), seen{Valid, CoverWhole, "B-B", TimeClaimed, "sign.verdict.valid"}},
		{"unknown form", bytes.Replace(bb, []byte("ETSI.CAdES.detached"), []byte("ETSI.CAdES.attached"), 1), b.verifyOptions(), seen{NotChecked, CoverNothing, "", TimeNone, "sign.verdict.not_checked"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff([]seen{c.want}, verify(t, c.pdf, c.opt)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestVerifyByteRange widens the gap that the signature leaves out, the classic way to hide content in it.
func TestVerifyByteRange(t *testing.T) {
	b := newBench(t, pki.P256)
	f, err := openPDF(samplePDF(t))
	if err != nil {
		t.Fatal(err)
	}
	opt := PDFOptions{Identity: b.person, Time: b.now}
	u, sig, err := prepareSignature(f, signatureDict(opt, 4096), nil)
	if err != nil {
		t.Fatal(err)
	}
	out, offsets := u.write()
	from, to, err := fillByteRange(out, offsets[sig.num], 4096)
	if err != nil {
		t.Fatal(err)
	}
	wide := to + 40
	old := []byte(strings.Split(string(out[bytes.LastIndex(out, []byte("/ByteRange [")):]), "]")[0])
	repl := append([]byte("/ByteRange [0 "), []byte(pad(from, wide, len(out)-wide, len(old)-len("/ByteRange [0 ")))...)
	out = bytes.Replace(out, old, repl, 1)
	cms, err := buildCMS(b.person, cmsContent{typ: oidData, digest: hashBytes(out[:from], out[wide:])})
	if err != nil {
		t.Fatal(err)
	}
	copy(out[from+1:], []byte(hex.EncodeToString(cms)))
	got := verify(t, out, b.verifyOptions())
	if len(got) != 1 || got[0].State != Broken {
		t.Errorf("widened range: %+v; want broken", got)
	}
}

func TestSignPDFRefuses(t *testing.T) {
	b := newBench(t, pki.P256)
	pdf := samplePDF(t)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	box := func(r [4]float64, lines ...string) *Appearance {
		return &Appearance{Page: 1, Rect: r, Lines: lines, FontTTF: b.font}
	}
	good := [4]float64{10, 10, 200, 60}
	for _, c := range []struct {
		name string
		pdf  []byte
		opt  PDFOptions
		want string
	}{
		{"no PDF", []byte("hello"), PDFOptions{Identity: b.person}, "sign.pdf_not"},
		{"cut off", pdf[:len(pdf)/2], PDFOptions{Identity: b.person}, "sign.pdf_broken"},
		{"encrypted", bytes.Replace(pdf, []byte("trailer\n<<"), []byte("trailer\n<</Encrypt 9 0 R "), 1), PDFOptions{Identity: b.person}, "sign.pdf_encrypted"},
		{"hybrid", bytes.Replace(pdf, []byte("trailer\n<<"), []byte("trailer\n<</XRefStm 9 "), 1), PDFOptions{Identity: b.person}, "sign.pdf_hybrid"},
		{"other key", pdf, PDFOptions{Identity: Identity{Signer: b.person.Signer, Cert: b.agency.Cert}}, "sign.identity"},
		{"no key", pdf, PDFOptions{}, "sign.identity"},
		{"other curve", pdf, PDFOptions{Identity: Identity{Signer: p384, Cert: b.agency.Cert}}, "sign.identity"},
		{"no such page", pdf, PDFOptions{Identity: b.person, Appearance: &Appearance{Page: 9, Rect: good}}, "sign.pdf_no_page"},
		{"no box", pdf, PDFOptions{Identity: b.person, Appearance: box([4]float64{}, "a")}, "sign.appearance_rect"},
		{"letter missing", pdf, PDFOptions{Identity: b.person, Appearance: box(good, "a 漢")}, "sign.appearance_font"},
		{"no font", pdf, PDFOptions{Identity: b.person, Appearance: &Appearance{Page: 1, Rect: good, Lines: []string{"a"}}}, "sign.appearance_font"},
		{"no picture", pdf, PDFOptions{Identity: b.person, Appearance: &Appearance{Page: 1, Rect: good, Image: []byte("x")}}, "sign.appearance_image"},
		{"time-stamp away", pdf, PDFOptions{Identity: b.person, Timestamper: Timestampers{failing{}, failing{}}}, "sign.tsa_unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opt.Time = b.now
			if _, err := SignPDF(context.Background(), c.pdf, c.opt); keyOf(err) != c.want {
				t.Errorf("err = %v; want %s", err, c.want)
			}
		})
	}
}

type failing struct{}

func (failing) Timestamp(context.Context, []byte) ([]byte, error) {
	return nil, context.DeadlineExceeded
}

func TestSignPDFVariants(t *testing.T) {
	b := newBench(t, pki.P256)
	bb := seen{Valid, CoverWhole, "B-B", TimeClaimed, "sign.verdict.valid"}
	img := image.NewNRGBA(image.Rect(0, 0, 60, 30))
	img.Set(5, 5, color.NRGBA{R: 200, A: 128})
	var seal bytes.Buffer
	if err := png.Encode(&seal, img); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		opt  PDFOptions
		want seen
	}{
		{"room grows", PDFOptions{Identity: b.person, Timestamper: b.tsa, Reserve: 100}, goodBT},
		{"second service answers", PDFOptions{Identity: b.person, Timestamper: Timestampers{failing{}, b.tsa}}, goodBT},
		{"time-stamp optional", PDFOptions{Identity: b.person, Timestamper: failing{}, TimestampOptional: true}, bb},
		{"seal", PDFOptions{Identity: b.agency, Appearance: &Appearance{Page: 2, Rect: [4]float64{100, 100, 200, 200}, Image: seal.Bytes()}}, bb},
		{"seal and text", PDFOptions{Identity: b.agency, Appearance: &Appearance{Page: 1, Rect: [4]float64{100, 100, 300, 150}, Image: seal.Bytes(), Lines: []string{strings.Repeat("Ủy ban nhân dân ", 9)}, FontTTF: b.font}}, bb},
	} {
		t.Run(c.name, func(t *testing.T) {
			signed := b.sign(t, samplePDF(t), c.opt)
			if diff := cmp.Diff([]seen{c.want}, verify(t, signed, b.verifyOptions())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDetached(t *testing.T) {
	b := newBench(t, pki.RSA2048)
	data := []byte("tệp đính kèm")
	p7s, err := SignDetached(context.Background(), data, DetachedOptions{Identity: b.agency, Timestamper: b.tsa})
	if err != nil {
		t.Fatal(err)
	}
	if r := VerifyDetached(data, p7s, b.verifyOptions()); r.State != Valid || r.Level != "B-T" || r.Signer != "UBND tỉnh Lâm Đồng" {
		t.Errorf("report = %+v", r)
	}
	if r := VerifyDetached(flip(data, 0), p7s, b.verifyOptions()); r.State != Broken || r.Integrity {
		t.Errorf("changed data: %+v", r)
	}
	if r := VerifyDetached(data, p7s[:40], b.verifyOptions()); r.State != Broken {
		t.Errorf("cut signature: %+v", r)
	}
}

// TestMessages checks that every sentence the package can say exists in each language.
func TestMessages(t *testing.T) {
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range i18n.Langs {
		for _, key := range []string{
			"sign.verdict.valid", "sign.verdict.untrusted", "sign.verdict.expired", "sign.verdict.changed", "sign.verdict.broken", "sign.verdict.not_checked",
			"sign.verdict.revoked", "sign.verdict.purpose", "sign.verdict.weak", "sign.verdict.timestamp",
			"sign.note.timestamp", "sign.note.not_revoked", "sign.note.revoked_after", "sign.note.no_timestamp", "sign.note.timestamp_unchecked", "sign.note.timestamp_bad", "sign.note.revocation_unchecked",
			"sign.note.test_certificate", "sign.note.extended", "sign.note.changed",
		} {
			if !cat.Has(l, key) {
				t.Errorf("%s has no %s", l, key)
			}
		}
	}
}

func pad(from, to, length, width int) string {
	s := strings.Join([]string{strconv.Itoa(from), strconv.Itoa(to), strconv.Itoa(length)}, " ")
	return s + strings.Repeat(" ", width-len(s))
}
