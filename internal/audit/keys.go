package audit

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// ErrNoKey means that an epoch has no key yet; ErrKeyDestroyed that it had one until its retention ended.
var (
	ErrNoKey        = errors.New("audit: the epoch has no key")
	ErrKeyDestroyed = errors.New("audit: the key of the epoch was destroyed")
)

// epochOf returns the epoch of a time: its calendar year in Việt Nam.
func epochOf(t time.Time) int { return t.In(i18n.Zone).Year() }

// tagOf is the pseudonym of a person in an epoch.
func tagOf(key []byte, subjectID string) [16]byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(subjectID))
	return [16]byte(m.Sum(nil)[:16])
}

// FileKeys keeps each epoch's key in a file of 32 bytes, readable by its owner only.
type FileKeys struct {
	// Dir is the folder; it is made when missing. Back it up: without the key a year's chains cannot go on.
	Dir string
}

func (k FileKeys) path(epoch int) string {
	return filepath.Join(k.Dir, fmt.Sprintf("epoch-%04d.key", epoch))
}

// Load implements [Keys].
func (k FileKeys) Load(epoch int) (key []byte, err error) {
	defer errs.Wrap(&err, "load the key of %d", epoch)
	b, err := os.ReadFile(k.path(epoch))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, ErrNoKey
	case err != nil:
		return nil, err
	case len(b) == 0:
		return nil, ErrKeyDestroyed
	case len(b) != sha256.Size:
		return nil, fmt.Errorf("%d bytes, want %d", len(b), sha256.Size)
	}
	return b, nil
}

// Create implements [Keys]. The key is on the disk, under its name, before it is returned.
func (k FileKeys) Create(epoch int) (key []byte, err error) {
	defer errs.Wrap(&err, "create the key of %d", epoch)
	if err := os.MkdirAll(k.Dir, 0o700); err != nil {
		return nil, err
	}
	if _, err := os.Stat(k.path(epoch)); err == nil {
		return nil, os.ErrExist
	}
	key = make([]byte, sha256.Size)
	_, _ = rand.Read(key)                         // it never fails
	tmp, err := os.CreateTemp(k.Dir, "new-*.key") // made with mode 0600
	if err != nil {
		return nil, err
	}
	_, err = tmp.Write(key)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Link(tmp.Name(), k.path(epoch)) // unlike a rename, this never replaces a key
	}
	err = errors.Join(err, os.Remove(tmp.Name()), syncDir(k.Dir))
	if err != nil {
		return nil, err
	}
	return key, nil
}

// Destroy ends an epoch for good: its tags can no longer be linked to anybody. Receipts still verify. The empty
// file that stays behind keeps a new key from being made.
func (k FileKeys) Destroy(epoch int) (err error) {
	defer errs.Wrap(&err, "destroy the key of %d", epoch)
	f, err := os.OpenFile(k.path(epoch), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, sha256.Size)) // over the old bytes first, for what that is worth
	return errors.Join(err, f.Sync(), f.Truncate(0), f.Sync(), f.Close(), syncDir(k.Dir))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
