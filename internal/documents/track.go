package documents

import (
	"slices"
	"time"
)

// HeardStatus is a business status that arrived from another agency.
type HeardStatus struct {
	// Message identifies the message it came with.
	Message string `json:"message"`
	From    string `json:"from"`
	// Receiver is the code the document was sent to: that of From, or of an agency whose successor From is; empty when
	// the document was not sent to either.
	Receiver string     `json:"receiver,omitempty"`
	Name     string     `json:"name,omitempty"`
	Code     StatusCode `json:"code"`
	// Text is the description: a reason, a number of arrival.
	Text string `json:"text,omitempty"`
	// At is the time the other side states, HeardAt when it came here.
	At      time.Time `json:"at"`
	HeardAt time.Time `json:"heardAt"`
	Staff   string    `json:"staff,omitempty"`
	// About is set when the status names a document that amends this one.
	About string `json:"about,omitempty"`
}

// AxisNews is what the axis tells about a sending.
type AxisNews struct {
	// ID makes the news idempotent; Carriage is the sending it is about.
	ID       string    `json:"id"`
	Carriage string    `json:"carriage"`
	Event    AxisEvent `json:"event"`
	// Receiver is set where the news is about one of them.
	Receiver string `json:"receiver,omitempty"`
	// DocID is the axis' own identifier.
	DocID string    `json:"docId,omitempty"`
	At    time.Time `json:"at"`
	// Code and Text are of a refusal or warning, in Vietnamese.
	Code     int      `json:"code,omitempty"`
	Text     string   `json:"text,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	// Receipt is the SHA-256 of a signed receipt in the blob store.
	Receipt string `json:"receipt,omitempty"`
}

// AxisEvent names what happened at the axis.
type AxisEvent string

// The events of the axis.
const (
	AxisAccepted  AxisEvent = "accepted"
	AxisRefused   AxisEvent = "refused"
	AxisDelivered AxisEvent = "delivered"
	AxisOpened    AxisEvent = "opened"
	AxisFailed    AxisEvent = "failed"
)

// Step is a stage of a document at a receiver.
type Step struct {
	Stage Stage
	// At is zero for a stage not reached; Took is the time since the stage before.
	At   time.Time
	Took time.Duration
	Text string
	By   string
}

// Stage names where a document is at a receiver.
type Stage string

// The stages, in order.
const (
	StageSent      Stage = "sent"
	StageDelivered Stage = "delivered"
	StageAccepted  Stage = "accepted"
	StageAssigned  Stage = "assigned"
	StageWorking   Stage = "working"
	StageDone      Stage = "done"
)

// Stages returns all stages in order.
func Stages() []Stage {
	return []Stage{StageSent, StageDelivered, StageAccepted, StageAssigned, StageWorking, StageDone}
}

// Key returns the message key of the stage.
func (s Stage) Key() string { return "documents.stage." + string(s) }

// Track is where a document is at one receiver.
type Track struct {
	Receiver Party
	// Status is the state after all that was heard; "" before the first. Revoked is set when the receiver agreed to a
	// recall or revocation, Updated to an update or replacement.
	Status           StatusCode
	Revoked, Updated bool
	// RecallOpen is set while a recall waits for its answer; RecallRefused holds the reason of the last refusal.
	RecallOpen    bool
	RecallRefused string
	// Reason is why it was refused, by the receiver or by the axis.
	Reason    string
	ConfirmBy time.Time
	// AxisRefused is set when the axis did not take it, or gave up.
	AxisRefused bool
	// Opened is when the receiver's system fetched it, zero where that is not known.
	Opened time.Time
	Steps  []Step
	// Took is from sending to the end, or to the last stage reached.
	Took time.Duration
	// Heard are the statuses in the order of their time; Impossible are those that contradict what was known.
	Heard      []HeardStatus
	Impossible []HeardStatus
	Receipts   []string
}

// Confirmed reports whether the receiver has accepted or refused, or gave the document back.
func (t *Track) Confirmed() bool {
	return t.Status >= StatusRefused || t.Revoked || t.Updated || t.AxisRefused
}

// Final reports whether nothing more is expected of the receiver.
func (t *Track) Final() bool {
	return t.Status == StatusDone || t.Status == StatusRefused || t.Revoked || t.AxisRefused
}

// foldStatuses computes a track from statuses of one receiver. They are ordered by the time they state, then by arrival;
// one that cannot follow is kept, shown and flagged, and changes nothing.
func (t *Track) foldStatuses(heard []HeardStatus, recalls []time.Time) {
	t.Heard = slices.Clone(heard)
	slices.SortStableFunc(t.Heard, func(a, b HeardStatus) int { return a.At.Compare(b.At) })
	for _, h := range t.Heard {
		asked := slices.ContainsFunc(recalls, func(r time.Time) bool {
			// Clocks of two agencies differ: a minute before the question is still an answer to it.
			return !h.At.Before(r.Add(-time.Minute)) || !h.HeardAt.Before(r)
		})
		if !t.follow(h, asked) {
			t.Impossible = append(t.Impossible, h)
		}
	}
}

// follow applies one status and reports whether it can follow what was known.
func (t *Track) follow(h HeardStatus, asked bool) bool {
	was := t.Status
	switch h.Code {
	case StatusArrived:
		if was != "" && was != StatusArrived {
			return false
		}
	case StatusRefused:
		if was != "" && was != StatusArrived && was != StatusRefused {
			return false
		}
		t.Reason = h.Text
	case StatusAccepted:
		if was != "" && was != StatusArrived && was != StatusAccepted {
			return false
		}
	case StatusAssigned, StatusWorking:
		if was != StatusAccepted && was != StatusAssigned && was != StatusWorking {
			return false
		}
	case StatusDone:
		if was == "" || was == StatusArrived || was == StatusRefused {
			return false
		}
	case StatusAgreed, StatusDeclined:
		return t.answer(h, asked)
	default: // 13 comes from senders, and what is not in the list from nobody
		return false
	}
	t.Status = h.Code
	t.step(h)
	return true
}

// answer applies 15 and 16, which answer a recall or an amending document.
func (t *Track) answer(h HeardStatus, asked bool) bool {
	if !asked && h.About == "" {
		return false
	}
	t.RecallRefused = ""
	if h.Code == StatusDeclined {
		t.RecallRefused = h.Text
	}
	return true
}

// stageOf maps a status to a stage.
func stageOf(c StatusCode) (Stage, bool) {
	switch c {
	case StatusArrived:
		return StageDelivered, true
	case StatusAccepted:
		return StageAccepted, true
	case StatusAssigned:
		return StageAssigned, true
	case StatusWorking:
		return StageWorking, true
	case StatusDone:
		return StageDone, true
	default:
		return "", false
	}
}

// step notes the first time a stage was reached.
func (t *Track) step(h HeardStatus) {
	stage, ok := stageOf(h.Code)
	if !ok {
		return
	}
	t.reach(stage, h.At, h.Text, h.Staff)
}

func (t *Track) reach(stage Stage, at time.Time, text, by string) {
	i := slices.IndexFunc(t.Steps, func(s Step) bool { return s.Stage == stage })
	if i < 0 || !t.Steps[i].At.IsZero() && !at.Before(t.Steps[i].At) {
		return
	}
	t.Steps[i].At, t.Steps[i].Text, t.Steps[i].By = at, text, by
}

// measure fills in how long each step took.
func (t *Track) measure() {
	var first, last time.Time
	for i := range t.Steps {
		s := &t.Steps[i]
		if s.At.IsZero() {
			continue
		}
		if first.IsZero() {
			first = s.At
		}
		if !last.IsZero() && s.At.After(last) {
			s.Took = s.At.Sub(last)
		}
		if s.At.After(last) {
			last = s.At
		}
	}
	if !first.IsZero() {
		t.Took = last.Sub(first)
	}
}

// Tracks computes where the document is at each receiver.
func (o *Outgoing) Tracks() []Track {
	var out []Track
	at := map[string]int{}
	for _, s := range o.Dispatches {
		for _, p := range s.Receivers {
			if i, ok := at[p.Code]; ok {
				out[i].ConfirmBy = s.ConfirmBy
				continue
			}
			at[p.Code] = len(out)
			t := Track{Receiver: p, ConfirmBy: s.ConfirmBy}
			for _, stage := range Stages() {
				t.Steps = append(t.Steps, Step{Stage: stage})
			}
			t.reach(StageSent, s.At, "", "")
			out = append(out, t)
		}
	}
	for i := range out {
		o.track(&out[i])
	}
	if last := len(o.Dispatches); last > 1 { // sent again because nobody had it: earlier receivers that were left out are gone
		out = slices.DeleteFunc(out, func(t Track) bool {
			return !slices.ContainsFunc(o.Dispatches[last-1].Receivers, func(p Party) bool { return p.Code == t.Receiver.Code })
		})
	}
	return out
}

// carriageOf returns the sending that news is about: by its own identifier, or by the one the axis gave when it accepted
// it. News of other messages about the document, such as a recall, is about none.
func (o *Outgoing) carriageOf(n AxisNews) string {
	sent := func(carriage string) bool {
		return slices.ContainsFunc(o.Dispatches, func(s Dispatch) bool { return s.Carriage == carriage })
	}
	if sent(n.Carriage) {
		return n.Carriage
	}
	for _, a := range o.News {
		if n.DocID != "" && a.Event == AxisAccepted && a.DocID == n.DocID && sent(a.Carriage) {
			return a.Carriage
		}
	}
	return ""
}

// lastDispatch is the last sending to a receiver: what became of earlier ones no longer counts.
func (o *Outgoing) lastDispatch(code string) (carriage string) {
	for _, s := range o.Dispatches {
		if slices.ContainsFunc(s.Receivers, func(p Party) bool { return p.Code == code }) {
			carriage = s.Carriage
		}
	}
	return carriage
}

// Rejected reports whether the axis took none of the sendings: nobody has the document.
func (o *Outgoing) Rejected() bool {
	for _, s := range o.Dispatches {
		if !slices.ContainsFunc(o.News, func(n AxisNews) bool {
			return n.Carriage == s.Carriage && n.Receiver == "" && (n.Event == AxisRefused || n.Event == AxisFailed)
		}) {
			return false
		}
	}
	return len(o.Dispatches) > 0
}

// Strangers are statuses of agencies that the document was not sent to: kept, shown, and without effect.
func (o *Outgoing) Strangers() (out []HeardStatus) {
	for _, h := range o.Statuses {
		if h.Receiver == "" {
			out = append(out, h)
		}
	}
	return out
}

// track folds news and statuses of one receiver.
func (o *Outgoing) track(t *Track) {
	code := t.Receiver.Code
	for _, n := range o.News {
		carriage := o.carriageOf(n)
		if carriage == "" || n.Receiver != "" && n.Receiver != code {
			continue
		}
		if n.Receipt != "" {
			t.Receipts = append(t.Receipts, n.Receipt)
		}
		switch n.Event {
		case AxisDelivered:
			t.reach(StageDelivered, n.At, "", "")
		case AxisOpened:
			if t.Opened.IsZero() || n.At.Before(t.Opened) {
				t.Opened = n.At
			}
		case AxisRefused, AxisFailed:
			if carriage == o.lastDispatch(code) {
				t.AxisRefused, t.Reason = true, n.Text
			}
		default:
		}
	}
	var recalls []time.Time
	for _, r := range o.Recalls {
		if slices.ContainsFunc(r.Receivers, func(p Party) bool { return p.Code == code }) {
			recalls = append(recalls, r.At)
		}
	}
	for _, e := range o.Events {
		if e.Type == EvAmended {
			recalls = append(recalls, e.At)
		}
	}
	var heard []HeardStatus
	for _, h := range o.Statuses {
		if h.Receiver == code {
			heard = append(heard, h)
		}
	}
	t.foldStatuses(heard, recalls)
	t.recall(o, recalls)
	t.measure()
}

// recall decides what an agreement meant: after a recall or a revocation the document is gone there, after an update or a
// replacement it was changed.
func (t *Track) recall(o *Outgoing, asked []time.Time) {
	if len(asked) == 0 {
		return
	}
	t.RecallOpen = true
	for _, h := range t.Heard {
		if h.Code != StatusAgreed && h.Code != StatusDeclined {
			continue
		}
		t.RecallOpen = false
		if h.Code != StatusAgreed {
			continue
		}
		if o.changedOnly(t.Receiver.Code, h) {
			t.Updated = true
		} else {
			t.Revoked = true
		}
	}
}

// changedOnly tells whether an agreement was to an update or a replacement: it names such a document, or nothing else was
// asked of this receiver.
func (o *Outgoing) changedOnly(receiver string, h HeardStatus) bool {
	changes := false
	for _, l := range o.Amended {
		revokes := l.Kind == KindRevocation
		if h.About != "" && l.ID == h.About {
			return !revokes
		}
		if revokes {
			return false
		}
		changes = true
	}
	for _, r := range o.Recalls {
		if slices.ContainsFunc(r.Receivers, func(p Party) bool { return p.Code == receiver }) {
			return false
		}
	}
	return changes
}

// flags are alerts that follow from what was heard.
func (o *Outgoing) flags(tracks []Track) []string {
	var out []string
	add := func(f string) {
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	if len(o.Strangers()) > 0 {
		add(FlagImpossible)
	}
	for _, t := range tracks {
		if len(t.Impossible) > 0 {
			add(FlagImpossible)
		}
		if t.AxisRefused {
			add(FlagAxisRefused)
		}
		if t.Status == StatusRefused {
			add(FlagRefused)
		}
		if t.RecallRefused != "" {
			add(FlagRecallRefused)
		}
	}
	return out
}

// Flags of documents.
const (
	FlagDuplicateID   = "duplicate_id"   // another document with the same identifier (30/2020, appendix VI, 1.h)
	FlagDuplicateCode = "duplicate_code" // another document with the same number, notation and agency
	FlagImpossible    = "impossible"     // a status that contradicts what was known
	FlagAxisRefused   = "axis_refused"
	FlagRefused       = "refused"
	FlagRecallRefused = "recall_refused"
	FlagRecall        = "recall"    // the sender asks an incoming document back
	FlagAmended       = "amended"   // an arrived document revokes, updates or replaces it
	FlagSignature     = "signature" // no valid signatures of person and agency: information only
	FlagLies          = "lies"      // an attachment whose content is not what its name says
)

// doneAt is when the last receiver was through.
func doneAt(tracks []Track) time.Time {
	var last time.Time
	for _, t := range tracks {
		if !t.Final() && !t.Updated {
			return time.Time{}
		}
		for _, s := range t.Steps {
			if s.At.After(last) {
				last = s.At
			}
		}
	}
	return last
}
