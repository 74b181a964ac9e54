package exchange

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"truc/internal/sign"
	"truc/internal/translog"
)

// clockTolerance is how far the clocks of nodes and authorities may differ.
const clockTolerance = 5 * time.Minute

func (r *EntryReport) bad(v *Verdict, err error) {
	*v = Bad
	if r.Reason == "" {
		r.Reason = err.Error()
	}
}

// checkConfirmations checks what others said about the checkpoint that the receipt leads to.
func (r *EntryReport) checkConfirmations(p *Package, it packageItem, e *Entry, logKey string, trust Trust) {
	if it.Checkpoint == 0 {
		return
	}
	c, ok := p.checkpoints[it.Checkpoint]
	receipt, err := translog.ParseReceipt(it.receipt)
	if !ok || err != nil || !bytes.Equal(receipt.Checkpoint, c.note) {
		r.bad(&r.Inclusion, errors.New("the receipt does not lead to the confirmed checkpoint"))
		return
	}
	bare, err := translog.StripCosignatures(c.note, logKey)
	if err != nil {
		r.bad(&r.Inclusion, err)
		return
	}
	r.checkWitnesses(c, e, trust)
	if c.Stamped {
		if err := r.checkTimestamp(p, c, bare, e, trust); err != nil {
			r.bad(&r.Timestamp, err)
		}
	}
}

func (r *EntryReport) checkWitnesses(c packageCheckpoint, e *Entry, trust Trust) {
	for _, w := range c.Witnesses {
		if trust.Witness != nil && !trust.Witness(w) {
			r.bad(&r.Witnesses, fmt.Errorf("%s is no witness of the network", w.Node))
			return
		}
		at, err := translog.VerifyCosignature(c.note, w.Key)
		if err != nil {
			r.bad(&r.Witnesses, err)
			return
		}
		if at.Add(clockTolerance).Before(time.UnixMicro(e.At)) {
			r.bad(&r.Witnesses, fmt.Errorf("%s cosigned before the entry says it was made", w.Node))
			return
		}
		r.Witnesses = Good
		r.WitnessedBy = append(r.WitnessedBy, w.Node)
	}
}

// checkTimestamp checks the token over the checkpoint as the log alone signed it. What it proves is that the entry
// existed at the stated time; so the entry may not say that it was made later.
func (r *EntryReport) checkTimestamp(p *Package, c packageCheckpoint, bare []byte, e *Entry, trust Trust) error {
	if !bytes.Equal(bare, c.stamped) {
		return errors.New("the time-stamp is over another checkpoint")
	}
	roots := trust.TSARoots
	if roots == nil {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(p.TSARoots) {
			return errors.New("no authority for the time-stamp is known")
		}
	}
	now := trust.Now
	if now.IsZero() {
		now = p.MadeAt.Add(clockTolerance)
	}
	info, err := sign.VerifyTimestamp(c.token, func(h crypto.Hash) []byte {
		if h != crypto.SHA256 {
			return nil
		}
		sum := sha256.Sum256(bare)
		return sum[:]
	}, roots, now)
	if err != nil {
		return err
	}
	if info.Time.Add(clockTolerance).Before(time.UnixMicro(e.At)) {
		return errors.New("the entry says that it was made after its time-stamp")
	}
	r.Timestamp, r.Before = Good, info.Time
	return nil
}

// checkBody holds a body against the digest that was signed.
func (r *EntryReport) checkBody(it packageItem, e *Entry) {
	if it.Body == "" {
		return
	}
	want := e.RequestDigest
	if e.Direction == directionResponse || e.Direction == directionResponseBody {
		want = e.ResponseDigest
	}
	if it.body == "" || it.body != want {
		r.bad(&r.Body, errors.New("the body is not the one whose digest was signed"))
		return
	}
	r.Body = Good
}

// checkDirectory asks whether the key that signed was named by the document in force.
func (r *EntryReport) checkDirectory(e *Entry, trust Trust) {
	if trust.KeyAt == nil || e.KeyID == "" {
		return
	}
	key, known, err := trust.KeyAt(e.Directory, e.KeyID)
	created := time.Unix(e.Created, 0)
	switch {
	case !known:
		return
	case err != nil:
		r.bad(&r.Directory, err)
	case key.Revoked:
		r.bad(&r.Directory, fmt.Errorf("key %s was revoked", e.KeyID))
	case !key.NotBefore.IsZero() && created.Add(clockTolerance).Before(key.NotBefore), !key.NotAfter.IsZero() && created.Add(-clockTolerance).After(key.NotAfter):
		r.bad(&r.Directory, fmt.Errorf("key %s was not valid when it signed", e.KeyID))
	default:
		r.Directory = Good
	}
}
