package axisapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"truc/internal/i18n"
)

func itoa(n int) string { return strconv.Itoa(n) }

// The numbers of the protocol. Clients take all but System for final.
const (
	codeOK       = 0
	codeRequest  = 10 // the request or the file is wrong
	codeAccess   = 15 // system id or secret
	codeReceiver = 18 // the receiver does not exist
	codeSender   = 19 // the sender is not registered
	codeSystem   = 20 // a fault of the axis; the client may try again
	codeFile     = 21 // the file cannot be processed
	codeEdXML    = 22 // the document is not as Decision 28/2018/QĐ-TTg demands
	codeLocked   = 23 // the receiver is locked
)

// reply is what every JSON answer of the protocol holds. The client drops an answer whole when one of the first three is missing, or
// when anything in it is null; fields it does not know it passes over.
type reply struct {
	Status     string `json:"status"`
	ErrorCode  string `json:"ErrorCode"`
	ErrorDesc  string `json:"ErrorDesc"`
	ServerTime string `json:"serverTime"`
}

func okReply(now time.Time) reply {
	return reply{Status: "OK", ErrorCode: itoa(codeOK), ServerTime: isoTime(now)}
}

// failReply is a refusal. DocId stands in each, since sendEdoc loses the error without it.
type failReply struct {
	reply
	DocID string `json:"DocId"`
}

func refuse(now time.Time, code int, text string) failReply {
	return failReply{reply: reply{Status: "FAIL", ErrorCode: itoa(code), ErrorDesc: text, ServerTime: isoTime(now)}}
}

type sentReply struct {
	reply
	DocID string `json:"DocId"`
	// Warnings are also in ErrorDesc, which is all that the client shows.
	Warnings []string `json:"warnings,omitempty"`
}

type countReply struct {
	reply
	Count int `json:"count"`
}

// listReply holds rows. Its list is never null, because callers of the client do not look.
type listReply[T any] struct {
	reply
	Data []T `json:"data"`
}

func list[T any](now time.Time, rows []T) listReply[T] {
	if rows == nil {
		rows = []T{}
	}
	return listReply[T]{okReply(now), rows}
}

// isoTime is the time of an answer: ISO 8601 in the zone of Viet Nam, as Decision 28/2018/QĐ-TTg Art. 14.4 has it.
func isoTime(t time.Time) string { return t.In(i18n.Zone).Format("2006-01-02T15:04:05.000-07:00") }

// wireTime is the form of times inside lists.
func wireTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(i18n.Zone).Format("2006/01/02 15:04:05")
}

// asciiJSON marshals v with every character beyond ASCII as \uXXXX: sendEdoc reads its answer as US-ASCII.
func asciiJSON(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return asciiOnly(b), nil
}

// del is the control character at the end of ASCII, which JSON does not escape either.
const del = 0x7f

// asciiOnly escapes what is not printable ASCII in a JSON text; outside of its strings there is nothing else.
func asciiOnly(b []byte) []byte {
	if !bytes.ContainsFunc(b, func(r rune) bool { return r >= del }) {
		return b
	}
	out := make([]byte, 0, len(b)+len(b)/2)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r < del:
			out = append(out, b[0])
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = appendUnicode(appendUnicode(out, hi), lo)
		default:
			out = appendUnicode(out, r)
		}
		b = b[n:]
	}
	return out
}

func appendUnicode(b []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// writeReply writes v with status 200. There is no other: a client takes what a 202 or an empty body says for nothing.
func writeReply(w http.ResponseWriter, v any) {
	b, err := asciiJSON(v)
	if err != nil { // the types above hold strings, numbers and lists of these
		b = []byte(`{"status":"FAIL","ErrorCode":"20","ErrorDesc":"","DocId":""}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", itoa(len(b)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	_, _ = bytes.NewReader(b).WriteTo(w) // a client that is gone needs no answer
}

// writeFile answers getEdoc: the file in base64 inside the answer, streamed. The length is known before the first byte, so a file
// that breaks off is seen by the client as a broken connection and not as a short document.
func writeFile(w http.ResponseWriter, now time.Time, r io.Reader, size int64) error {
	head, err := asciiJSON(okReply(now))
	if err != nil {
		return err
	}
	head = append(head[:len(head)-1], `,"data":"`...)
	const tail = `"}`
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.FormatInt(int64(len(head)+len(tail))+(size+2)/3*4, 10))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if _, err := bytes.NewReader(head).WriteTo(w); err != nil {
		return err
	}
	enc := base64.NewEncoder(base64.StdEncoding, w)
	if _, err := io.CopyBuffer(enc, io.LimitReader(r, size), make([]byte, 96<<10)); err != nil {
		return err
	}
	if err := enc.Close(); err != nil {
		return err
	}
	_, err = io.WriteString(w, tail)
	return err
}
