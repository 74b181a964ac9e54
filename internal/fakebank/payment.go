package fakebank

import (
	"strconv"
	"time"

	"truc/internal/i18n"
)

// Outcome is what the person at the bank decides; the value of the button "outcome".
type Outcome string

// The outcomes. All but the first three are paid; they differ in the notice.
const (
	Success      Outcome = "success"
	Insufficient Outcome = "insufficient" // not enough money
	Cancel       Outcome = "cancel"
	Late         Outcome = "late"          // the notice comes after Options.LateBy
	Twice        Outcome = "twice"         // the notice comes twice
	WrongAmount  Outcome = "wrong_amount"  // the notice says another amount
	BadSignature Outcome = "bad_signature" // the notice is signed with another secret
	Silent       Outcome = "silent"        // no notice: only a query tells
)

// Outcomes lists the outcomes in the order of the buttons.
func Outcomes() []Outcome {
	return []Outcome{Success, Insufficient, Cancel, Late, Twice, WrongAmount, BadSignature, Silent}
}

// Status is the truth about a payment.
type Status string

// The states. Only pending changes, but for paid → refunded.
const (
	Pending  Status = "pending"
	Paid     Status = "paid"
	Failed   Status = "failed"
	Canceled Status = "cancelled"
	Expired  Status = "expired"
	Refunded Status = "refunded"
)

// Payment is one payment as the bank knows it.
type Payment struct {
	ID       string `json:"id"` // opens the page of the payment; unguessable
	Merchant string `json:"merchant"`
	Ref      string `json:"ref"`
	// Amount is in đồng, without the factor 100 of the wire.
	Amount    int64  `json:"amount"`
	Info      string `json:"info"`
	ReturnURL string `json:"return_url"`
	// CreateDate is the merchant's own, as written; a query names it.
	CreateDate    string    `json:"create_date"`
	Created       time.Time `json:"created"`
	Expires       time.Time `json:"expires"`
	Status        Status    `json:"status"`
	Outcome       Outcome   `json:"outcome,omitempty"`
	Finished      time.Time `json:"finished,omitzero"`
	TransactionNo string    `json:"transaction_no,omitempty"`
	RefundedSum   int64     `json:"refunded_sum,omitempty"`
	Notices       []Notice  `json:"notices,omitempty"`
}

// Notice is one message to the merchant.
type Notice struct {
	// Lie is WrongAmount, BadSignature or "".
	Lie      Outcome   `json:"lie,omitempty"`
	Due      time.Time `json:"due"`
	Attempts int       `json:"attempts"`
	// Over says that no attempt follows: the merchant was content, or we gave up.
	Over bool `json:"over"`
	// Answer is the last RspCode, "http 503" or "none".
	Answer string `json:"answer,omitempty"`
}

// finish decides a pending payment.
func (p *Payment) finish(o Outcome, transactionNo string, now time.Time, lateBy time.Duration) {
	p.Outcome, p.Finished = o, now
	notice := Notice{Due: now}
	switch o {
	case Insufficient:
		p.Status = Failed
	case Cancel:
		p.Status = Canceled
	default:
		p.Status, p.TransactionNo = Paid, transactionNo
	}
	switch o {
	case Silent:
		return
	case Late:
		notice.Due = now.Add(lateBy)
	case Twice:
		p.Notices = append(p.Notices, notice)
	case WrongAmount, BadSignature:
		notice.Lie = o
	default: // an honest notice, at once
	}
	p.Notices = append(p.Notices, notice)
}

// codes returns vnp_ResponseCode and vnp_TransactionStatus.
func (p *Payment) codes() (response, status string) {
	switch p.Status {
	case Paid, Refunded:
		return "00", "00"
	case Canceled:
		return "24", "02"
	case Failed:
		return "51", "02"
	case Expired:
		return "11", "02"
	default:
		return "99", "01"
	}
}

// bankCode stands where a real gateway names the payer's bank.
const bankCode = "TRUCBANK"

// result returns the parameters of the way back and of an honest notice.
func (p *Payment) result() Params {
	response, status := p.codes()
	r := Params{
		"vnp_TmnCode": p.Merchant, "vnp_Amount": wire(p.Amount), "vnp_BankCode": bankCode, "vnp_CardType": "ATM", "vnp_OrderInfo": p.Info,
		"vnp_PayDate": stamp(p.Finished), "vnp_ResponseCode": response, "vnp_TransactionNo": "0", "vnp_TransactionStatus": status, "vnp_TxnRef": p.Ref,
	}
	if p.TransactionNo != "" {
		r["vnp_TransactionNo"], r["vnp_BankTranNo"] = p.TransactionNo, "TB"+p.TransactionNo
	}
	return r
}

// notice returns the query of a notice, signed, with its lie.
func (p *Payment) notice(n Notice, secret string) string {
	r := p.result()
	switch n.Lie {
	case WrongAmount:
		r["vnp_Amount"] = wire(p.Amount + 1000)
	case BadSignature:
		secret += " but not quite"
	default: // no lie
	}
	return SignedQuery(r, secret)
}

// clone returns a copy that shares nothing.
func (p *Payment) clone() *Payment {
	c := *p
	c.Notices = append([]Notice(nil), p.Notices...)
	return &c
}

func wire(dong int64) string { return strconv.FormatInt(dong*100, 10) }

// maxAmount is far above any fee: ten thousand billion đồng.
const maxAmount = 10_000_000_000_000

// amount reads vnp_Amount: đồng × 100, whole đồng, above zero.
func amount(s string) (int64, bool) {
	if len(s) == 0 || len(s) > 18 || s[0] < '1' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n / 100, err == nil && n%100 == 0 && n/100 <= maxAmount
}

const stampLayout = "20060102150405"

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(i18n.Zone).Format(stampLayout)
}

func readStamp(s string) (time.Time, bool) {
	t, err := time.ParseInLocation(stampLayout, s, i18n.Zone)
	return t.UTC(), err == nil && len(s) == len(stampLayout)
}
