package axisapi

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"truc/internal/documents/axis"
	"truc/internal/errs"
)

// restReceipt is a receipt as truc verify reads it, in base64, with what it is about.
type restReceipt struct {
	ID            string `json:"id"`
	Event         string `json:"event"`
	DocID         string `json:"docId"`
	ReceiverDocID string `json:"receiverDocId,omitempty"`
	At            string `json:"at"`
	Stamped       bool   `json:"stamped"`
	Receipt       []byte `json:"receipt"`
}

// v1Receipts gives the receipts of a message that the system sent, or of its own copy of another's.
func (a *API) v1Receipts(w http.ResponseWriter, r *http.Request, q *request) error {
	all, err := a.Hub.Receipts(r.Context(), q.party(), identifier(r.PathValue("id")))
	if err != nil {
		return err
	}
	rows := make([]restReceipt, 0, len(all))
	for _, x := range all {
		file, err := a.Hub.ReceiptFile(r.Context(), x)
		if err != nil {
			return err
		}
		rows = append(rows, restReceipt{ID: x.ID, Event: string(x.Event), DocID: x.DocID, ReceiverDocID: x.Copy, At: isoTime(x.At), Stamped: x.Stamped, Receipt: file})
	}
	return a.writeV1(w, restRows(rows))
}

// restEvent is what happened to a message of the system or to its copy of one.
type restEvent struct {
	Seq           int64  `json:"seq"`
	At            string `json:"at"`
	Event         string `json:"event"`
	DocID         string `json:"docId,omitempty"`
	ReceiverDocID string `json:"receiverDocId,omitempty"`
	MessageType   string `json:"messageType,omitempty"`
	From          string `json:"from,omitempty"`
	To            string `json:"to,omitempty"`
	DocumentID    string `json:"documentId,omitempty"`
	Note          string `json:"note,omitempty"`
}

type restEvents struct {
	Success bool `json:"success"`
	// Next is what to give as after the next time.
	Next int64       `json:"next"`
	Data []restEvent `json:"data"`
}

const (
	maxWait  = 60 * time.Second
	lookEach = time.Second
	pageSize = 500
)

// v1Events lists events of the system behind a number. With wait it answers when there are some, or after as many seconds with none. It
// looks once a second, which serves several processes on one database as well.
func (a *API) v1Events(w http.ResponseWriter, r *http.Request, q *request) error {
	get := r.URL.Query()
	after, err := number(get.Get("after"))
	if err != nil {
		return err
	}
	seconds, err := number(get.Get("wait"))
	if err != nil {
		return err
	}
	wait := time.NewTimer(min(time.Duration(min(seconds, 3600))*time.Second, maxWait))
	defer wait.Stop()
	look := time.NewTicker(lookEach)
	defer look.Stop()
	for {
		entries, err := a.Hub.Events(r.Context(), q.party(), after, pageSize)
		if err != nil {
			return err
		}
		if len(entries) > 0 || seconds == 0 {
			return a.writeV1(w, eventsAfter(after, entries))
		}
		select {
		case <-r.Context().Done():
			return errs.E(errs.Unavailable, "axis.vxp.system", r.Context().Err())
		case <-wait.C:
			seconds = 0 // one last look
		case <-look.C:
		}
	}
}

func eventsAfter(after int64, entries []axis.Entry) restEvents {
	out := restEvents{Success: true, Next: after, Data: []restEvent{}}
	for _, e := range entries {
		out.Next = e.Seq
		out.Data = append(out.Data, restEvent{
			Seq: e.Seq, At: isoTime(e.Time()), Event: string(e.Event), DocID: e.DocID, ReceiverDocID: e.Copy, MessageType: e.Kind,
			From: e.From, To: e.To, DocumentID: e.Document, Note: e.Note,
		})
	}
	return out
}

// number reads a number that is not negative; empty is zero.
func number(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, refusal(codeRequest, "axis.rest.number")
	}
	return n, nil
}

// keys remembers Idempotency-Keys. The axis knows repetitions by the bytes alone, in its database; a key adds that other bytes under the
// same key are a mistake of the program. So it is enough that each process remembers them for a day.
type keys struct {
	mu   sync.Mutex // guards seen
	seen map[string]keyUse
}

type keyUse struct {
	what string
	at   time.Time
}

const (
	keyLife = 24 * time.Hour
	maxKeys = 50_000
)

// check refuses a key that was used for something else. An empty key is none.
func (k *keys) check(system, key, what string, now time.Time) error {
	if key == "" {
		return nil
	}
	if len(key) > 255 {
		return refusal(codeRequest, "axis.rest.idempotency")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if use, ok := k.seen[system+"\n"+key]; ok && use.what != what && now.Sub(use.at) < keyLife {
		return errs.E(errs.Conflict, "axis.rest.idempotency", nil)
	}
	return nil
}

// keep remembers what a key was used for, once it was done.
func (k *keys) keep(system, key, what string, now time.Time) {
	if key == "" {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seen == nil || len(k.seen) >= maxKeys {
		fresh := map[string]keyUse{}
		for id, use := range k.seen {
			if now.Sub(use.at) < keyLife && len(fresh) < maxKeys/2 {
				fresh[id] = use
			}
		}
		k.seen = fresh
	}
	k.seen[system+"\n"+key] = keyUse{what, now}
}
