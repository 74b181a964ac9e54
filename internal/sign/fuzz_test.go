package sign

import (
	"bytes"
	"context"
	"math/big"
	"testing"

	"truc/internal/pki"
)

func FuzzPDF(f *testing.F) {
	b := newBench(f, pki.P256)
	for _, pdf := range inputs(f) {
		f.Add(pdf)
	}
	f.Add(b.sign(f, samplePDF(f), PDFOptions{Identity: b.person}))
	f.Add(b.extend(f, b.sign(f, samplePDF(f), PDFOptions{Identity: b.person, Timestamper: b.tsa})))
	if stamped, err := StampPDF(context.Background(), b.sign(f, samplePDF(f), PDFOptions{Identity: b.person}), b.tsa); err == nil {
		f.Add(stamped)
	}
	f.Add([]byte("%PDF-1.4\n1 0 obj\n<</Pages 1 0 R/Kids[1 0 R]>>\nendobj\nxref\n0 2\n0000000000 65535 f \n0000000009 00000 n \ntrailer\n<</Size 2/Root 1 0 R>>\nstartxref\n55\n%%EOF"))
	opt := b.verifyOptions()
	f.Fuzz(func(t *testing.T, pdf []byte) {
		reports, err := VerifyPDF(pdf, opt)
		for _, r := range reports {
			if r.State == 0 || r.Verdict.Key == "" || err != nil {
				t.Errorf("report without outcome: %+v", r)
			}
		}
		if lt, err := ExtendPDF(pdf, b.extendOptions()); err == nil {
			if _, err := VerifyPDF(lt, opt); err != nil {
				t.Errorf("our own evidence cannot be read: %v", err)
			}
		}
		signed, err := SignPDF(context.Background(), pdf, PDFOptions{Identity: b.person, Time: b.now})
		if err != nil {
			return
		}
		if reports, err := VerifyPDF(signed, opt); err != nil || len(reports) == 0 {
			t.Errorf("our own output cannot be read: %v", err)
		}
	})
}

func FuzzCMS(f *testing.F) {
	b := newBench(f, pki.P256)
	p7s, err := SignDetached(context.Background(), []byte("x"), DetachedOptions{Identity: b.person, Timestamper: b.tsa})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p7s)
	opt := b.verifyOptions()
	f.Fuzz(func(t *testing.T, der []byte) {
		if r := VerifyDetached([]byte("y"), der, opt); r.Integrity {
			t.Errorf("a signature over other data was accepted")
		}
		if r := VerifyDetached([]byte("x"), der, opt); r.State == 0 {
			t.Errorf("no outcome")
		}
	})
}

func FuzzBER(f *testing.F) {
	b := newBench(f, pki.P256)
	p7s, err := SignDetached(context.Background(), []byte("x"), DetachedOptions{Identity: b.person})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p7s)
	f.Add([]byte{0x30, 0x80, 0x24, 0x80, 4, 1, 1, 4, 2, 2, 3, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, ber []byte) {
		der, used, err := toDER(ber)
		if err != nil {
			return
		}
		if used > len(ber) {
			t.Errorf("used %d of %d bytes", used, len(ber))
		}
		again, n, err := toDER(der)
		if err != nil || n != len(der) || !bytes.Equal(again, der) {
			t.Errorf("the result changes when it is converted again: % x, % x, %v", der, again, err)
		}
	})
}

func FuzzTSRequest(f *testing.F) {
	b := newBench(f, pki.P256)
	req, err := marshalTSRequest(make([]byte, 32), big.NewInt(5))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(req)
	f.Fuzz(func(t *testing.T, query []byte) {
		reply := b.tsa.Respond(query)
		if _, err := parseTSResponse(reply); err == nil {
			if r, err := parseTSRequest(query); err != nil || r.hash == 0 {
				t.Errorf("granted a request that cannot be read")
			}
		}
	})
}

func BenchmarkSignPDF(b *testing.B) {
	for _, alg := range []pki.Alg{pki.P256, pki.RSA2048} {
		bench := newBench(b, alg)
		pdf := samplePDF(b)
		for _, c := range []struct {
			name string
			opt  PDFOptions
		}{
			{"B-B", PDFOptions{Identity: bench.person}},
			{"B-T", PDFOptions{Identity: bench.person, Timestamper: bench.tsa}},
			{"B-T-visible", PDFOptions{Identity: bench.person, Timestamper: bench.tsa, Appearance: &Appearance{
				Page: 1, Rect: [4]float64{340, 200, 520, 260}, Lines: []string{"Người ký: Nguyễn Văn An", "Chức vụ: Chủ tịch"}, FontTTF: bench.font,
			}}},
		} {
			b.Run(string(alg)+"/"+c.name, func(b *testing.B) {
				for b.Loop() {
					bench.sign(b, pdf, c.opt)
				}
			})
		}
	}
}

func BenchmarkVerifyPDF(b *testing.B) {
	bench := newBench(b, pki.P256)
	signed := bench.personThenAgency(b, samplePDF(b))
	opt := bench.verifyOptions()
	for b.Loop() {
		if r, err := VerifyPDF(signed, opt); err != nil || len(r) != 2 || r[0].State != Valid {
			b.Fatal(err)
		}
	}
}
