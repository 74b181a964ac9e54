package audit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/outbox"
)

// Topic is the outbox topic of acts; [Service.Handler] performs it.
const Topic = "audit.entry"

// Entry is an administrative or business act: somebody changed something.
type Entry struct {
	// ID makes the act idempotent; made when empty.
	ID string
	// Actor is the account, subsystem or person who acted; Action what was done, such as "directory.member.suspend";
	// Object to what, such as an agency code or dossier number.
	Actor, Action, Object string
	// Data are further facts. The log holds only a commitment to them.
	Data map[string]string
}

type actPayload struct {
	ID, Actor, Action, Object string
	At                        time.Time
	Data                      map[string]string
}

// Act records an act in the caller's transaction, as an outbox message, so that the act and its record stand or
// fall together; the relay puts it into the log afterwards.
func (s *Service) Act(ctx context.Context, tx outbox.Querier, e Entry) (err error) {
	defer errs.Wrap(&err, "act %q", e.Action)
	if e.Action == "" || e.Actor == "" {
		return errs.E(errs.Internal, "audit.cannot_record", nil)
	}
	if e.ID == "" {
		var id [16]byte
		_, _ = rand.Read(id[:]) // it never fails
		e.ID = hex.EncodeToString(id[:])
	}
	now := s.Now().UTC().Truncate(time.Microsecond)
	p := actPayload{ID: e.ID, Actor: e.Actor, Action: e.Action, Object: e.Object, At: now, Data: e.Data}
	if err := outbox.AddJSON(ctx, tx, now, Topic+":"+e.ID, Topic, e.Object, p); err != nil {
		return cannotRecord(err)
	}
	return nil
}

// Handler is the outbox handler of [Topic]. Performing a message again adds nothing.
func (s *Service) Handler(ctx context.Context, m outbox.Message) error {
	var p actPayload
	if err := json.Unmarshal(m.Payload, &p); err != nil {
		return outbox.Permanent(err)
	}
	a, err := newAct(p)
	if err != nil {
		return outbox.Permanent(err)
	}
	if err := s.submit(ctx, &job{done: make(chan struct{}), act: a}); err != nil {
		return cannotRecord(err)
	}
	return nil
}

// actRecord is an act but for its number.
type actRecord struct {
	payload actPayload
	record  []byte
	salt    [16]byte
}

func newAct(p actPayload) (*actRecord, error) {
	for _, text := range []string{p.ID, p.Actor, p.Action, p.Object} {
		if strings.ContainsRune(text, 0) { // PostgreSQL refuses it, and with it everybody in the same batch
			return nil, errors.New("a name holds a zero byte")
		}
	}
	data := map[string]string{}
	for k, v := range p.Data {
		data[i18n.NFC(k)] = i18n.NFC(v)
	}
	record, err := canonical(map[string]any{
		"v": "truc-act-1", "id": p.ID, "at": p.At.UTC().Format(timeFormat), "actor": p.Actor, "action": p.Action, "object": p.Object, "data": data,
	})
	if err != nil {
		return nil, err
	}
	return &actRecord{payload: p, record: record, salt: newSalt()}, nil
}

func (a *actRecord) stored(seq int64) StoredAct {
	leaf := Leaf{Seq: seq, Time: a.payload.At, Kind: act, Commit: commitment(a.salt, a.record)}
	return StoredAct{
		ID: a.payload.ID, Seq: seq, At: a.payload.At, Actor: a.payload.Actor, Action: a.payload.Action, Object: a.payload.Object,
		Record: a.record, Salt: a.salt, Leaf: leaf.Marshal(),
	}
}
