package axis

import (
	"context"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/orgcode"
)

// AgencyTraffic counts what one agency sent and received in a period (Decision 28/2018/QĐ-TTg Art. 11).
type AgencyTraffic struct {
	Code, Name string
	// SentDocuments and SentStatuses count messages, SentCopies the receivers of the documents, SentBytes the payloads of
	// both, once each.
	SentDocuments, SentStatuses, SentCopies, SentBytes int64
	// ReceivedDocuments and ReceivedStatuses count copies made for it, Delivered the documents it took over, Refused those
	// its desk gave back.
	ReceivedDocuments, ReceivedStatuses, Delivered, Refused int64
}

func (t *AgencyTraffic) add(o AgencyTraffic) {
	t.SentDocuments += o.SentDocuments
	t.SentStatuses += o.SentStatuses
	t.SentCopies += o.SentCopies
	t.SentBytes += o.SentBytes
	t.ReceivedDocuments += o.ReceivedDocuments
	t.ReceivedStatuses += o.ReceivedStatuses
	t.Delivered += o.Delivered
	t.Refused += o.Refused
}

// Traffic counts by agency for those under a code prefix, all when it is empty, with the sum. What happened at or after
// since and before until counts, each thing by its own time.
func (h *Hub) Traffic(ctx context.Context, prefix string, since, until time.Time) (list []AgencyTraffic, total AgencyTraffic, err error) {
	if !until.After(since) {
		return nil, total, errs.E(errs.Invalid, "axis.period_invalid", nil)
	}
	all, err := h.Store.Traffic(ctx, since, until)
	if err != nil {
		return nil, total, err
	}
	names, err := h.names(ctx)
	if err != nil {
		return nil, total, err
	}
	for _, t := range all {
		if prefix != "" && !orgcode.Under(t.Code, prefix) {
			continue
		}
		t.Name = names[t.Code]
		total.add(t)
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b AgencyTraffic) int { return strings.Compare(a.Code, b.Code) })
	return list, total, nil
}

// names returns the name last entered for each current code.
func (h *Hub) names(ctx context.Context) (map[string]string, error) {
	list, err := h.Store.Agencies(ctx)
	names := make(map[string]string, len(list))
	for _, a := range list { // in the order of entry, so a later agency of the same code wins
		names[a.Code] = a.Name
	}
	return names, err
}

// AgencyWaiting tells what lies at the hub for one agency, and what its desk has said nothing of.
type AgencyWaiting struct {
	Code, Name string
	Party      Party
	// Waiting counts documents that its system has not taken over, Urgent the urgent ones among them, Late those past due,
	// Failed those it could not take over.
	Waiting, Urgent, Late, Failed int64
	// Silent counts documents it took over, past due, of which its desk has said nothing (Decree 30/2020/NĐ-CP Art. 21.2c:
	// receipt is confirmed within the day).
	Silent int64
	// Oldest is when the oldest waiting one was sent.
	Oldest time.Time
}

// Lateness lists agencies with something waiting or late: those with urgent documents first, then those with most that is
// late.
func (h *Hub) Lateness(ctx context.Context, prefix string) ([]AgencyWaiting, error) {
	list, err := h.Store.Waiting(ctx, h.now())
	if err != nil {
		return nil, err
	}
	names, err := h.names(ctx)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(w AgencyWaiting) bool { return prefix != "" && !orgcode.Under(w.Code, prefix) })
	for i := range list {
		list[i].Name = names[list[i].Code]
	}
	slices.SortFunc(list, func(a, b AgencyWaiting) int {
		for _, d := range []int64{b.Urgent - a.Urgent, b.Late - a.Late, b.Silent - a.Silent, b.Waiting - a.Waiting} {
			if d != 0 {
				return int(min(max(d, -1), 1))
			}
		}
		return strings.Compare(a.Code, b.Code)
	})
	return list, nil
}

// LateQuery chooses copies past due.
type LateQuery struct {
	Now time.Time
	// To keeps those of one agency, by its current code.
	To    string
	Limit int
}

// Late lists documents past due that were not taken over or of which the receiver's desk has said nothing: the most urgent
// first, then the oldest.
func (h *Hub) Late(ctx context.Context, to string, limit int) ([]Copy, error) {
	return h.Store.Late(ctx, LateQuery{Now: h.now(), To: to, Limit: rows(limit)})
}

// Alert is something that somebody at the center should look at. The same one again is counted.
type Alert struct {
	// Kind is "duplicate_id" (another document under a known identifier, refused) or "duplicate_number" (a number and
	// notation used twice in a year, accepted): Decree 30/2020/NĐ-CP Appendix VI.
	Kind    string
	Agency  string // code, as the sender wrote it
	Subject string // the identifier, or the number with the year
	Party   Party
	DocID   string
	Count   int64
	First   time.Time
	Last    time.Time
}

// Alerts lists alerts, the newest first.
func (h *Hub) Alerts(ctx context.Context, limit int) ([]Alert, error) {
	return h.Store.Alerts(ctx, rows(limit))
}
