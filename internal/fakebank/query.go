package fakebank

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// apiRequest is a machine message that has been read.
type apiRequest struct {
	params Params
	form   bool // signed like /pay rather than over joined values
}

// fault is an answer that says no: a code and, in English, why.
type fault struct{ code, message string }

func (f *fault) Error() string { return f.code + " " + f.message }

// readAPI reads and authenticates a machine message.
func (b *Bank) readAPI(r *http.Request, command string, fields []string) (q apiRequest, m Merchant, err error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxQuery+1))
	if err != nil || len(body) > maxQuery {
		return q, m, &fault{"03", "Invalid data format"}
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if q.form = kind == "application/x-www-form-urlencoded"; q.form {
		q.params, err = parseParams(string(body))
	} else {
		q.params, err = parseJSON(body)
	}
	if err != nil {
		return q, m, &fault{"03", "Invalid data format"}
	}
	m, ok := b.merchants[q.params["vnp_TmnCode"]]
	if !ok {
		return q, m, &fault{"02", "Invalid merchant"}
	}
	text := q.params.joined(fields)
	if q.form {
		text = q.params.text()
	}
	if !sameMAC(q.params[hashName], text, m.Secret) {
		return q, m, &fault{"97", "Invalid checksum"}
	}
	if q.params["vnp_Command"] != command || q.params["vnp_RequestId"] == "" || q.params["vnp_TxnRef"] == "" {
		return q, m, &fault{"03", "Invalid data format"}
	}
	return q, m, nil
}

// parseJSON reads a JSON object of texts.
func parseJSON(body []byte) (Params, error) {
	var raw map[string]string
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, errMalformed
	}
	p := Params{}
	for name, value := range raw {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if err := p.add(name, value); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// answerAPI signs and writes an answer. A fault is signed only when the merchant is known.
func answerAPI(w http.ResponseWriter, q apiRequest, m Merchant, answer Params, fields []string) {
	answer["vnp_ResponseId"] = rand.Text()
	if m.Secret != "" {
		if q.form {
			answer[hashName] = Sign(answer, m.Secret)
		} else {
			answer[hashName] = mac(answer.joined(fields), m.Secret)
		}
	}
	data, err := json.Marshal(answer)
	if err != nil {
		http.Error(w, "internal", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(data)
}

// faultAnswer turns an error into an answer; what is no fault is 99.
func faultAnswer(err error, command, merchant string) Params {
	f := &fault{"99", "Other error"}
	if known, ok := errors.AsType[*fault](err); ok {
		f = known
	}
	return Params{"vnp_Command": command, "vnp_ResponseCode": f.code, "vnp_Message": f.message, "vnp_TmnCode": merchant}
}

// query tells the truth about a payment.
func (b *Bank) query(w http.ResponseWriter, r *http.Request) {
	q, m, err := b.readAPI(r, "querydr", queryFields)
	if err != nil {
		answerAPI(w, q, m, faultAnswer(err, "querydr", m.Code), queryAnswerFields)
		return
	}
	p, ok := b.Payment(m.Code, q.params["vnp_TxnRef"])
	if date := q.params["vnp_TransactionDate"]; !ok || date != "" && date != p.CreateDate {
		answerAPI(w, q, m, faultAnswer(&fault{"91", "Transaction not found"}, "querydr", m.Code), queryAnswerFields)
		return
	}
	if p.Status == Pending && b.now().After(p.Expires) {
		p.Status = Expired
	}
	answer := p.result()
	delete(answer, "vnp_CardType")
	delete(answer, "vnp_BankTranNo")
	answer["vnp_Command"], answer["vnp_Message"], answer["vnp_TransactionType"] = "querydr", "Success", "01"
	answer["vnp_ResponseCode"] = "00" // of the query; what became of the payment is vnp_TransactionStatus
	if p.Status == Refunded {
		answer["vnp_TransactionType"] = "02"
	}
	answerAPI(w, q, m, answer, queryAnswerFields)
}

// refund gives money back, all of it (type 02) or a part (03).
func (b *Bank) refund(w http.ResponseWriter, r *http.Request) {
	q, m, err := b.readAPI(r, "refund", refundFields)
	var p *Payment
	if err == nil {
		p, err = b.giveBack(m, q.params)
	}
	if err != nil {
		answerAPI(w, q, m, faultAnswer(err, "refund", m.Code), refundAnswerFields)
		return
	}
	answer := p.result()
	delete(answer, "vnp_CardType")
	delete(answer, "vnp_BankTranNo")
	answer["vnp_Command"], answer["vnp_Message"], answer["vnp_TransactionType"] = "refund", "Success", q.params["vnp_TransactionType"]
	answer["vnp_Amount"], answer["vnp_TransactionStatus"] = q.params["vnp_Amount"], "05"
	answerAPI(w, q, m, answer, refundAnswerFields)
}

func (b *Bank) giveBack(m Merchant, q Params) (*Payment, error) {
	sum, ok := amount(q["vnp_Amount"])
	kind := q["vnp_TransactionType"]
	if !ok || kind != "02" && kind != "03" {
		return nil, &fault{"03", "Invalid data format"}
	}
	known, ok := b.Payment(m.Code, q["vnp_TxnRef"])
	if !ok {
		return nil, &fault{"91", "Transaction not found"}
	}
	return b.change(known.ID, func(p *Payment) error {
		switch {
		case p.Status == Refunded:
			return &fault{"94", "Refunded before"}
		case p.Status != Paid:
			return &fault{"95", "Transaction was not paid"}
		case kind == "02" && (sum != p.Amount || p.RefundedSum > 0), sum > p.Amount-p.RefundedSum:
			return &fault{"04", "Invalid amount " + strconv.FormatInt(sum, 10)}
		}
		if p.RefundedSum += sum; p.RefundedSum == p.Amount {
			p.Status = Refunded
		}
		return nil
	})
}
