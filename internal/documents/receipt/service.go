package receipt

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/outbox"
	"truc/internal/sign"
)

// Tx is the caller's transaction.
type Tx = outbox.Querier

// Issued is a receipt that was signed.
type Issued struct {
	// ID numbers receipts in the order of signing.
	ID int64
	Fact
	JWS []byte
	// Directory is the version of the directory in force at the time of signing.
	Directory int64
	// Batch and Index place it under a time-stamp; Batch is 0 while that is pending.
	Batch, Index int64
}

// Batch is a time-stamped tree of receipts.
type Batch struct {
	ID, Size int64
	Token    []byte
	Roots    string
	At       time.Time // what the token states
}

// Store keeps receipts. A missing row is errs.NotFound.
type Store interface {
	// Add keeps a receipt in the caller's transaction. The same event of the same copy a second time is not kept: the
	// first one stands, and added is false.
	Add(ctx context.Context, tx Tx, r Issued) (id int64, added bool, err error)
	// Of lists the receipts about a message, about one copy of it where copyID is given, the oldest first; Get returns one.
	Of(ctx context.Context, docID, copyID string) ([]Issued, error)
	Get(ctx context.Context, id int64) (Issued, error)
	// Unstamped returns the oldest receipts without a time-stamp; Waiting counts them and says when the oldest was signed.
	Unstamped(ctx context.Context, limit int) ([]Issued, error)
	Waiting(ctx context.Context) (n int64, oldest time.Time, err error)
	// PutBatch keeps a token and places the receipts of ids under it, in this order, in one transaction.
	PutBatch(ctx context.Context, b Batch, ids []int64) error
	// Batch returns a batch; Leaves the JWS of its receipts in order.
	Batch(ctx context.Context, id int64) (Batch, error)
	Leaves(ctx context.Context, batch int64) ([][]byte, error)
}

// Authority is a time-stamp authority.
type Authority struct {
	Client sign.Timestamper
	// Roots are the PEM certificates its certificate leads to.
	Roots []byte
}

// Service issues receipts. Its fields are set before it is used and not changed afterwards.
type Service struct {
	Store Store
	// Node is this node's server identifier; Key its signing key with the id that the directory knows it by.
	Node string
	Key  func() (key crypto.Signer, kid string)
	// Directory returns the version of the signed directory in force, DirectoryAt the document of a version (nil when it was
	// not kept: then the newest is given).
	Directory   func() (version int64, envelope []byte)
	DirectoryAt func(version int64) []byte
	// Authorities are asked in order until one answers; none: receipts stay without a stamp, and say so.
	Authorities []Authority
	Now         func() time.Time
	Log         *slog.Logger

	stamping sync.Mutex // one batch at a time
}

// Issue signs a receipt in the transaction that records the fact: none exists for what is not committed. It returns the
// JWS; the same event of the same copy again does nothing and returns nil.
func (s *Service) Issue(ctx context.Context, tx Tx, f Fact) (jws []byte, err error) {
	defer errs.Wrap(&err, "issue receipt")
	f.At = f.At.UTC().Truncate(time.Microsecond)
	key, kid := s.Key()
	b, err := Sign(key, kid, s.Node, f)
	if err != nil {
		return nil, err
	}
	version, _ := s.Directory()
	_, added, err := s.Store.Add(ctx, tx, Issued{Fact: f, JWS: b, Directory: version})
	if err != nil || !added {
		return nil, err
	}
	return b, nil
}

// Of lists the receipts about a message, or about one copy of it when copyID is given, the oldest first.
func (s *Service) Of(ctx context.Context, docID, copyID string) ([]Issued, error) {
	return s.Store.Of(ctx, docID, copyID)
}

// File returns a receipt as a file that can be checked offline.
func (s *Service) File(ctx context.Context, id int64) (_ []byte, err error) {
	defer errs.Wrap(&err, "receipt file")
	r, err := s.Store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	f := File{JWS: r.JWS, Directory: json.RawMessage(s.DirectoryAt(r.Directory))}
	if len(f.Directory) == 0 {
		_, newest := s.Directory()
		f.Directory = newest
	}
	if len(f.Directory) == 0 {
		return nil, errs.E(errs.Unavailable, "receipt.no_directory", nil)
	}
	if r.Batch != 0 {
		if f.Stamp, err = s.stampOf(ctx, r); err != nil {
			return nil, err
		}
	}
	return f.Marshal()
}

func (s *Service) stampOf(ctx context.Context, r Issued) (*Stamp, error) {
	b, err := s.Store.Batch(ctx, r.Batch)
	if err != nil {
		return nil, err
	}
	leaves, err := s.Store.Leaves(ctx, r.Batch)
	if err != nil {
		return nil, err
	}
	t, _, err := newTree(leaves)
	if err != nil {
		return nil, err
	}
	path, err := t.path(r.Index)
	if err != nil {
		return nil, err
	}
	return &Stamp{Index: r.Index, Size: b.Size, Path: path, Token: b.Token, Roots: b.Roots}, nil
}

// Stamp time-stamps the receipts that have none, up to [MaxBatch] with one token, and returns how many. errs.Unavailable
// when there are some and no authority answers.
func (s *Service) Stamp(ctx context.Context) (n int, err error) {
	defer errs.Wrap(&err, "time-stamp receipts")
	s.stamping.Lock()
	defer s.stamping.Unlock()
	list, err := s.Store.Unstamped(ctx, MaxBatch)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	leaves, ids := make([][]byte, len(list)), make([]int64, len(list))
	for i, r := range list {
		leaves[i], ids[i] = r.JWS, r.ID
	}
	_, root, err := newTree(leaves)
	if err != nil {
		return 0, err
	}
	digest := sha256.Sum256(StampedText(int64(len(list)), root))
	failures := []error{errors.New("no time-stamp authority is configured")}
	for _, a := range s.Authorities {
		token, err := a.Client.Timestamp(ctx, digest[:])
		if err != nil {
			failures = append(failures, err)
			continue
		}
		at, err := sign.TimestampTime(token)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		return len(list), s.Store.PutBatch(ctx, Batch{Size: int64(len(list)), Token: token, Roots: string(a.Roots), At: at}, ids)
	}
	return 0, errs.E(errs.Unavailable, "sign.tsa_unavailable", errors.Join(failures...))
}

// StampAll is [Service.Stamp] until none is left.
func (s *Service) StampAll(ctx context.Context) error {
	for {
		n, err := s.Stamp(ctx)
		if err != nil || n < MaxBatch {
			return err
		}
	}
}
