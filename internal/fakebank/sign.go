package fakebank

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Params are the signed parameters of a message, by name.
type Params map[string]string

const (
	prefix   = "vnp_"
	hashName = "vnp_SecureHash"
	typeName = "vnp_SecureHashType"
)

// maxQuery and maxValue bound what is read from outside.
const (
	maxQuery = 8 << 10
	maxValue = 1000
)

var (
	errTooLong   = errors.New("too long")
	errMalformed = errors.New("malformed")
	errTwice     = errors.New("a parameter comes twice")
)

// parseParams reads the parameters of a query or form. Names that do not begin with vnp_ are somebody else's and
// dropped; a signed name that comes twice is refused, because two readers could take different ones.
func parseParams(raw string) (Params, error) {
	if len(raw) > maxQuery {
		return nil, errTooLong
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errMalformed
	}
	return readParams(values)
}

func readParams(values url.Values) (Params, error) {
	p := Params{}
	for name, list := range values {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if len(list) > 1 {
			return nil, errTwice
		}
		if err := p.add(name, list[0]); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p Params) add(name, value string) error {
	if len(name) > 40 || len(value) > maxValue {
		return errTooLong
	}
	for _, c := range []byte(name[len(prefix):]) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_') {
			return errMalformed
		}
	}
	if !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errMalformed
	}
	p[name] = value
	return nil
}

// text is what is signed: sorted, form-urlencoded, without the signature and without empty values.
func (p Params) text() string {
	names := make([]string, 0, len(p))
	for name, value := range p {
		if name != hashName && name != typeName && value != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(name) + "=" + url.QueryEscape(p[name]))
	}
	return b.String()
}

// Sign returns the signature of params under secret.
func Sign(params Params, secret string) string { return mac(params.text(), secret) }

// SignedQuery returns the query string of params with their signature at the end.
func SignedQuery(params Params, secret string) string {
	return params.text() + "&" + hashName + "=" + Sign(params, secret)
}

// verify reports whether params carry their signature under secret, in constant time.
func verify(params Params, secret string) bool {
	return sameMAC(params[hashName], params.text(), secret)
}

func mac(text, secret string) string {
	m := hmac.New(sha512.New, []byte(secret))
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

// sameMAC takes hex digits in either case, as the gateway's own examples compare.
func sameMAC(got, text, secret string) bool {
	sum, err := hex.DecodeString(got)
	if err != nil || secret == "" {
		return false
	}
	m := hmac.New(sha512.New, []byte(secret))
	m.Write([]byte(text))
	return hmac.Equal(sum, m.Sum(nil))
}

// The orders in which the values of machine messages are joined for signing.
var (
	queryFields = []string{
		"vnp_RequestId", "vnp_Version", "vnp_Command", "vnp_TmnCode", "vnp_TxnRef", "vnp_TransactionDate", "vnp_CreateDate", "vnp_IpAddr", "vnp_OrderInfo",
	}
	queryAnswerFields = []string{
		"vnp_ResponseId", "vnp_Command", "vnp_ResponseCode", "vnp_Message", "vnp_TmnCode", "vnp_TxnRef", "vnp_Amount", "vnp_BankCode", "vnp_PayDate",
		"vnp_TransactionNo", "vnp_TransactionType", "vnp_TransactionStatus", "vnp_OrderInfo", "vnp_PromotionCode", "vnp_PromotionAmount",
	}
	refundFields = []string{
		"vnp_RequestId", "vnp_Version", "vnp_Command", "vnp_TmnCode", "vnp_TransactionType", "vnp_TxnRef", "vnp_Amount", "vnp_TransactionNo",
		"vnp_TransactionDate", "vnp_CreateBy", "vnp_CreateDate", "vnp_IpAddr", "vnp_OrderInfo",
	}
	refundAnswerFields = []string{
		"vnp_ResponseId", "vnp_Command", "vnp_ResponseCode", "vnp_Message", "vnp_TmnCode", "vnp_TxnRef", "vnp_Amount", "vnp_BankCode", "vnp_PayDate",
		"vnp_TransactionNo", "vnp_TransactionType", "vnp_TransactionStatus", "vnp_OrderInfo",
	}
)

// joined is what is signed in machine messages: the values in the given order, empty ones included.
func (p Params) joined(fields []string) string {
	values := make([]string, len(fields))
	for i, f := range fields {
		values[i] = p[f]
	}
	return strings.Join(values, "|")
}
