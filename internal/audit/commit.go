package audit

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"

	"truc/internal/errs"
)

// commit makes a batch durable: store first, then log (doc.go says why). The caller holds work.
func (s *Service) commit(ctx context.Context, jobs []*job) (err error) {
	defer errs.Wrap(&err, "record")
	if !s.ready {
		if err := s.reconcile(ctx); err != nil {
			return err
		}
	}
	s.ready = false // until everything below has succeeded
	marks := s.copyMarks()
	var leaves [][]byte
	var first int64
	err = s.Store.Write(ctx, func(w Writer) error {
		var err error
		if err := writeMarks(ctx, w, marks); err != nil {
			return err
		}
		first, leaves, err = writeBatch(ctx, w, jobs)
		return err
	})
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	s.dropMarks(marks)
	index, wait, err := s.Log.AppendNoWait(leaves...)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	if err := wait(ctx); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	for i := range leaves {
		s.addMark(first+int64(i), index+int64(i))
	}
	s.ready = true
	return nil
}

// chain names a person's lines of one epoch.
type chain struct {
	epoch int
	tag   [16]byte
}

// writeBatch stores all lines and acts of a batch and returns their leaves, numbered from first without gaps.
func writeBatch(ctx context.Context, w Writer, jobs []*job) (first int64, leaves [][]byte, err error) {
	n := 0
	for _, j := range jobs {
		n += len(j.prepared)
		if j.act != nil {
			n++
		}
	}
	// Acts come after lines, and an act that is there already gives its number to the next.
	if first, err = w.NextSeq(ctx, n); err != nil {
		return 0, nil, err
	}
	seq := first
	heads := map[chain][32]byte{}
	added := map[chain]int{}
	for _, j := range jobs {
		for _, p := range j.prepared {
			c := chain{epoch: p.line.Epoch, tag: p.tag}
			prev, ok := heads[c]
			if !ok {
				if prev, err = w.Head(ctx, c.epoch, c.tag); err != nil {
					return 0, nil, err
				}
			}
			leaf := Leaf{Seq: seq, Time: p.line.At, Kind: p.kind, Commit: commitment(p.line.Salt, p.line.Record), Tag: p.tag, Prev: prev}
			l := p.line
			l.Seq, l.Leaf, l.LogIndex = seq, leaf.Marshal(), -1
			if err := w.InsertLine(ctx, l); err != nil {
				return 0, nil, err
			}
			heads[c] = leaf.Hash()
			added[c]++
			leaves = append(leaves, l.Leaf)
			seq++
		}
	}
	for c, head := range heads {
		if err := w.SetHead(ctx, c.epoch, c.tag, head, added[c]); err != nil {
			return 0, nil, err
		}
	}
	for _, j := range jobs {
		if j.act == nil {
			continue
		}
		a := j.act.stored(seq)
		inserted, err := w.InsertAct(ctx, a)
		if err != nil {
			return 0, nil, err
		}
		if inserted {
			leaves = append(leaves, a.Leaf)
			seq++
		}
	}
	return first, leaves, nil
}

func writeMarks(ctx context.Context, w Writer, marks map[int64]int64) error {
	for seq, index := range marks {
		if err := w.MarkLogged(ctx, seq, index); err != nil {
			return err
		}
	}
	return nil
}

// reconcile brings into the log what the store has and the log lacks, and notes in the store what it did not
// know to be in the log. It refuses what no crash explains. The caller holds work.
func (s *Service) reconcile(ctx context.Context) (err error) {
	defer errs.Wrap(&err, "reconcile")
	s.ready = false
	size := s.Log.Size()
	pending, last, err := s.Store.Pending(ctx, size)
	if err != nil {
		return err
	}
	if last >= size {
		return errLogBehind
	}
	places, err := s.findLeaves(pending, last+1, size)
	if err != nil {
		return err
	}
	var missing [][]byte
	var seqs []int64
	for _, p := range pending {
		if _, there := places[p.Seq]; !there {
			missing, seqs = append(missing, p.Leaf), append(seqs, p.Seq)
		}
	}
	// Without anything missing this still waits for what was found: it may not be on the disk yet.
	index, wait, err := s.Log.AppendNoWait(missing...)
	if err != nil {
		return err
	}
	if err := wait(ctx); err != nil {
		return err
	}
	for i, seq := range seqs {
		places[seq] = index + int64(i)
	}
	if len(places) > 0 {
		if err := s.Store.Write(ctx, func(w Writer) error { return writeMarks(ctx, w, places) }); err != nil {
			return err
		}
	}
	s.dropMarks(places)
	s.ready = true
	return nil
}

// findLeaves reads the log from a place on and returns where the pending leaves are. Entries that are not leaves
// belong to others that share the log.
func (s *Service) findLeaves(pending []PendingLeaf, from, to int64) (map[int64]int64, error) {
	want := make(map[int64][]byte, len(pending))
	for _, p := range pending {
		want[p.Seq] = p.Leaf
	}
	places := map[int64]int64{}
	for i := from; i < to; i++ {
		b, err := s.Log.Entry(i)
		if err != nil {
			return nil, err
		}
		leaf, err := ParseLeaf(b)
		if err != nil {
			continue
		}
		if !bytes.Equal(want[leaf.Seq], b) {
			return nil, errStoreAside
		}
		places[leaf.Seq] = i
	}
	return places, nil
}

func newSalt() (salt [16]byte) {
	_, _ = rand.Read(salt[:]) // it never fails
	return salt
}
