package servicespay

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/fakebank"
	"truc/internal/i18n"
	"truc/internal/services"
	"truc/internal/web/ui"
	"truc/lang"
)

func TestSignaturesMatchFixedVectors(t *testing.T) {
	b, err := os.ReadFile("testdata/vnpay-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Signed, Joined []struct {
			Name, Secret, Text, Hash string
			Params                   map[string]string
			Fields                   []string
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Signed) == 0 || len(file.Joined) == 0 {
		t.Fatal("the vectors are missing")
	}
	for _, v := range file.Signed {
		p := &VNPay{Secret: v.Secret}
		if got := signedText(v.Params); got != v.Text {
			t.Errorf("%s: signedText() = %s; want %s", v.Name, got, v.Text)
		}
		if got := p.mac(signedText(v.Params)); got != v.Hash {
			t.Errorf("%s: mac() = %s; want %s", v.Name, got, v.Hash)
		}
	}
	for _, v := range file.Joined {
		p := &VNPay{Secret: v.Secret}
		if got := p.mac(joined(v.Params, v.Fields)); got != v.Hash {
			t.Errorf("%s: mac() = %s; want %s", v.Name, got, v.Hash)
		}
	}
}

// TestAgainstTheGateway drives the simulated gateway, whose signing code is independent of the driver's.
func TestAgainstTheGateway(t *testing.T) {
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	rd, err := ui.NewRenderer(ui.Options{Lang: cat})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 21, 7, 0, 0, 0, time.UTC)
	bank, err := fakebank.New(fakebank.Options{
		Merchants: []fakebank.Merchant{{Code: "TEST", Secret: "0123456789abcdef0123456789abcdef", NoticeURL: "http://127.0.0.1:1/notice", Name: "Test"}},
		StatePath: filepath.Join(t.TempDir(), "bank.json"), Renderer: rd, Lang: cat, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(bank)
	defer srv.Close()
	v := &VNPay{Title: "Test", URL: srv.URL, Merchant: "TEST", Secret: "0123456789abcdef0123456789abcdef", Client: srv.Client(), Now: func() time.Time { return now }}
	to, err := v.Redirect(services.PaymentOrder{
		Reference: "REF1", Amount: 8000, Info: "Lệ phí hồ sơ", ReturnURL: "http://127.0.0.1:7100/payments/return", IP: "127.0.0.1",
		CreatedAt: now, ExpiresAt: now.Add(15 * time.Minute),
	})
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(to)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("GET /pay = %d; want 200", res.StatusCode)
	}
	if got, err := v.Query(t.Context(), "REF1", now); err != nil || got.State != services.PayStarted || got.Amount != 8000 {
		t.Errorf("Query() = %+v, %v; want started, 8000", got, err)
	}
	if _, err := v.Query(t.Context(), "UNKNOWN", now); !errs.Is(err, errs.NotFound) {
		t.Errorf("Query(unknown) = %v; want NotFound", err)
	}
	liar := *v
	liar.Secret = "another secret of thirty-two bytes"
	if _, err := liar.Query(t.Context(), "REF1", now); err == nil {
		t.Error("Query() with a wrong secret succeeded")
	}
}

func TestParseRefusesWhatIsNotSigned(t *testing.T) {
	v := &VNPay{Merchant: "TEST", Secret: "secret"}
	good := map[string]string{"vnp_TmnCode": "TEST", "vnp_TxnRef": "R", "vnp_Amount": "800000", "vnp_ResponseCode": "00", "vnp_TransactionStatus": "00", "vnp_PayDate": "20261121140000"}
	sign := func(p map[string]string) url.Values {
		q := url.Values{}
		for k, x := range p {
			q.Set(k, x)
		}
		q.Set(hashParam, v.mac(signedText(p)))
		return q
	}
	if r, err := v.ParseNotice(sign(good)); err != nil || r.State != services.PayConfirmed || r.Amount != 8000 {
		t.Fatalf("ParseNotice() = %+v, %v", r, err)
	}
	changes := map[string]func(url.Values){
		"amount changed":    func(q url.Values) { q.Set("vnp_Amount", "100") },
		"status changed":    func(q url.Values) { q.Set("vnp_TransactionStatus", "02") },
		"no signature":      func(q url.Values) { q.Del(hashParam) },
		"parameter added":   func(q url.Values) { q.Set("vnp_Extra", "1") },
		"parameter twice":   func(q url.Values) { q.Add("vnp_Amount", "800000") },
		"another signature": func(q url.Values) { q.Set(hashParam, "00") },
	}
	for name, change := range changes {
		q := sign(good)
		change(q)
		if _, err := v.ParseNotice(q); !errs.Is(err, errs.Denied) {
			t.Errorf("%s: ParseNotice() = %v; want Denied", name, err)
		}
	}
}
