// Package servicespay holds the drivers of payment providers. A driver isolates a provider's dialect: its addresses,
// signatures, codes and units; what a payment means is decided in the root package.
package servicespay

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/services"
)

// VNPay speaks the dialect of VNPAY, version 2.1.0, as public demonstrations show it: HMAC-SHA512 over sorted,
// form-urlencoded parameters, amounts in hundredths of a đồng, times in Vietnam. It implements [services.Provider].
type VNPay struct {
	// Title is shown to the payer.
	Title string
	// URL of the gateway, such as "http://127.0.0.1:7190"; the payment page is URL + "/pay".
	URL      string
	Merchant string
	Secret   string
	Client   *http.Client
	Now      func() time.Time
}

var _ services.Provider = (*VNPay)(nil)

const (
	hashParam  = "vnp_SecureHash"
	hashType   = "vnp_SecureHashType"
	timeLayout = "20060102150405"
	maxReply   = 64 << 10
)

// Name implements [services.Provider].
func (v *VNPay) Name() string { return v.Title }

// Redirect implements [services.Provider].
func (v *VNPay) Redirect(o services.PaymentOrder) (string, error) {
	if o.Amount <= 0 || o.Amount > 1<<40 {
		return "", errs.E(errs.Invalid, "services.payment.nothing_due", nil)
	}
	locale := "vn"
	if o.Lang == "en" {
		locale = "en"
	}
	p := map[string]string{
		"vnp_Version": "2.1.0", "vnp_Command": "pay", "vnp_TmnCode": v.Merchant, "vnp_TxnRef": o.Reference,
		"vnp_Amount": strconv.FormatInt(o.Amount*100, 10), "vnp_CurrCode": "VND", "vnp_OrderInfo": o.Info, "vnp_OrderType": "other",
		"vnp_Locale": locale, "vnp_ReturnUrl": o.ReturnURL, "vnp_IpAddr": o.IP,
		"vnp_CreateDate": o.CreatedAt.In(i18n.Zone).Format(timeLayout), "vnp_ExpireDate": o.ExpiresAt.In(i18n.Zone).Format(timeLayout),
	}
	text := signedText(p)
	return v.URL + "/pay?" + text + "&" + hashParam + "=" + v.mac(text), nil
}

// ParseReturn implements [services.Provider].
func (v *VNPay) ParseReturn(query map[string][]string) (services.PaymentResult, error) {
	return v.parse(query)
}

// ParseNotice implements [services.Provider].
func (v *VNPay) ParseNotice(query map[string][]string) (services.PaymentResult, error) {
	return v.parse(query)
}

func (v *VNPay) parse(query map[string][]string) (services.PaymentResult, error) {
	p := map[string]string{}
	for name, values := range query {
		if len(values) != 1 || len(values[0]) > 2000 || len(query) > 64 {
			return services.PaymentResult{}, errs.E(errs.Denied, "services.payment.not_signed", errors.New("a parameter is repeated or too long"))
		}
		if strings.HasPrefix(name, "vnp_") {
			p[name] = values[0]
		}
	}
	if !equalMAC(p[hashParam], v.mac(signedText(p))) {
		return services.PaymentResult{}, errs.E(errs.Denied, "services.payment.not_signed", errors.New("the signature is wrong"))
	}
	if p["vnp_TmnCode"] != v.Merchant {
		return services.PaymentResult{}, errs.E(errs.Denied, "services.payment.not_signed", errors.New("another merchant"))
	}
	return v.result(p, p["vnp_ResponseCode"])
}

// result reads the outcome. Both codes must say yes for a yes.
func (v *VNPay) result(p map[string]string, response string) (services.PaymentResult, error) {
	hundredths, err := strconv.ParseInt(p["vnp_Amount"], 10, 64)
	if err != nil || hundredths < 0 || hundredths%100 != 0 {
		return services.PaymentResult{}, errs.E(errs.Denied, "services.payment.not_signed", fmt.Errorf("amount: %w", errors.Join(err, errors.New("not whole đồng"))))
	}
	r := services.PaymentResult{Reference: p["vnp_TxnRef"], Transaction: p["vnp_TransactionNo"], Amount: hundredths / 100, State: services.PayFailed}
	switch {
	case response == "00" && p["vnp_TransactionStatus"] == "00":
		r.State = services.PayConfirmed
	case p["vnp_TransactionStatus"] == "01":
		r.State = services.PayStarted
	case response == "24":
		r.State = services.PayCancelled
	case response == "11":
		r.State = services.PayExpired
	}
	if t, err := time.ParseInLocation(timeLayout, p["vnp_PayDate"], i18n.Zone); err == nil {
		r.PaidAt = t.UTC()
	}
	return r, nil
}

// Query implements [services.Provider] by the gateway's querydr message; NotFound when it does not know the order.
func (v *VNPay) Query(ctx context.Context, reference string, created time.Time) (r services.PaymentResult, err error) {
	defer errs.Wrap(&err, "query payment")
	p := map[string]string{
		"vnp_RequestId": rand.Text(), "vnp_Version": "2.1.0", "vnp_Command": "querydr", "vnp_TmnCode": v.Merchant, "vnp_TxnRef": reference,
		"vnp_TransactionDate": created.In(i18n.Zone).Format(timeLayout), "vnp_CreateDate": v.Now().In(i18n.Zone).Format(timeLayout),
		"vnp_IpAddr": "127.0.0.1", "vnp_OrderInfo": "Tra cuu " + reference,
	}
	p[hashParam] = v.mac(joined(p, queryFields))
	body, err := json.Marshal(p)
	if err != nil {
		return r, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.URL+"/api/query", bytes.NewReader(body))
	if err != nil {
		return r, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := v.Client.Do(req)
	if err != nil {
		return r, errs.E(errs.Unavailable, "services.payment.provider_away", err)
	}
	defer res.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil || res.StatusCode != http.StatusOK {
		return r, errs.E(errs.Unavailable, "services.payment.provider_away", fmt.Errorf("status %d: %w", res.StatusCode, errors.Join(err, errors.New("no answer"))))
	}
	var a map[string]string
	if err := json.Unmarshal(reply, &a); err != nil {
		return r, errs.E(errs.Unavailable, "services.payment.provider_away", err)
	}
	if !equalMAC(a[hashParam], v.mac(joined(a, queryAnswerFields))) {
		return r, errs.E(errs.Unavailable, "services.payment.provider_away", errors.New("the answer is not signed by the gateway"))
	}
	switch a["vnp_ResponseCode"] {
	case "91":
		return r, errs.E(errs.NotFound, "services.payment.not_found", nil)
	case "00":
	default:
		return r, errs.E(errs.Unavailable, "services.payment.provider_away", errors.New("code "+a["vnp_ResponseCode"]))
	}
	if a["vnp_TxnRef"] != reference {
		return r, errs.E(errs.Unavailable, "services.payment.provider_away", errors.New("the answer is about another order"))
	}
	return v.result(a, outcome(a["vnp_TransactionStatus"]))
}

// outcome of a query stands in the status alone: 00 paid, 01 open, anything else did not work.
func outcome(status string) string {
	if status == "00" || status == "01" {
		return "00"
	}
	return "02"
}

// Reply implements [services.Provider].
func (v *VNPay) Reply(code, message string) []byte {
	b, err := json.Marshal(struct {
		RspCode string
		Message string
	}{code, message})
	if err != nil {
		return []byte(`{"RspCode":"99"}`)
	}
	return b
}

var (
	queryFields       = []string{"vnp_RequestId", "vnp_Version", "vnp_Command", "vnp_TmnCode", "vnp_TxnRef", "vnp_TransactionDate", "vnp_CreateDate", "vnp_IpAddr", "vnp_OrderInfo"}
	queryAnswerFields = []string{
		"vnp_ResponseId", "vnp_Command", "vnp_ResponseCode", "vnp_Message", "vnp_TmnCode", "vnp_TxnRef", "vnp_Amount", "vnp_BankCode", "vnp_PayDate",
		"vnp_TransactionNo", "vnp_TransactionType", "vnp_TransactionStatus", "vnp_OrderInfo", "vnp_PromotionCode", "vnp_PromotionAmount",
	}
)

// signedText writes the parameters as they are signed: sorted by name, form-urlencoded, without empty ones.
func signedText(p map[string]string) string {
	names := make([]string, 0, len(p))
	for name, value := range p {
		if value != "" && name != hashParam && name != hashType {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = url.QueryEscape(name) + "=" + url.QueryEscape(p[name])
	}
	return strings.Join(parts, "&")
}

func joined(p map[string]string, fields []string) string {
	values := make([]string, len(fields))
	for i, f := range fields {
		values[i] = p[f]
	}
	return strings.Join(values, "|")
}

func (v *VNPay) mac(text string) string {
	h := hmac.New(sha512.New, []byte(v.Secret))
	_, _ = h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}

// equalMAC compares in constant time; some gateways write hex in capitals.
func equalMAC(got, want string) bool {
	return hmac.Equal([]byte(strings.ToLower(got)), []byte(want))
}
