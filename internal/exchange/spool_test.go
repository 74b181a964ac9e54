package exchange

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"testing"
)

// What became of the file behind a body never reaches the service as a body: not a bit that turned, not a lost end.
func TestSpoolDamage(t *testing.T) {
	body := make([]byte, 3*streamBlock+100)
	_, _ = rand.Read(body)
	sealed := int64(streamBlock + 16)
	for name, tt := range map[string]struct {
		damage func(*testing.T, *spool)
		good   int // bytes that are given before the fault is met
	}{
		"nothing":                  {func(*testing.T, *spool) {}, len(body)},
		"a bit in the first block": {func(t *testing.T, s *spool) { flip(t, s, 5) }, 0},
		"a bit in the last block":  {func(t *testing.T, s *spool) { flip(t, s, 3*sealed+7) }, 3 * streamBlock},
		"two blocks changed places": {func(t *testing.T, s *spool) {
			a, b := make([]byte, sealed), make([]byte, sealed)
			for _, f := range []func() (int, error){
				func() (int, error) { return s.file.ReadAt(a, 0) }, func() (int, error) { return s.file.ReadAt(b, sealed) },
				func() (int, error) { return s.file.WriteAt(b, 0) }, func() (int, error) { return s.file.WriteAt(a, sealed) },
			} {
				if _, err := f(); err != nil {
					t.Fatal(err)
				}
			}
		}, 0},
		"cut between blocks": {func(t *testing.T, s *spool) { cutFile(t, s, 2*sealed) }, 2 * streamBlock},
		"cut in a block":     {func(t *testing.T, s *spool) { cutFile(t, s, 2*sealed+9) }, 2 * streamBlock},
		"empty":              {func(t *testing.T, s *spool) { cutFile(t, s, 0) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := newSpool(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if n, err := s.fill(bytes.NewReader(body)); err != nil || n != int64(len(body)) {
				t.Fatal(n, err)
			}
			tt.damage(t, s)
			got, err := io.ReadAll(s)
			if whole := tt.good == len(body); (err == nil) != whole || errors.Is(err, io.EOF) {
				t.Errorf("read %d bytes and %v", len(got), err)
			}
			if !bytes.Equal(got, body[:tt.good]) {
				t.Errorf("%d bytes came out; want the first %d", len(got), tt.good)
			}
		})
	}
}

func flip(t *testing.T, s *spool, at int64) {
	t.Helper()
	b := make([]byte, 1)
	if _, err := s.file.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	if _, err := s.file.WriteAt([]byte{b[0] ^ 1}, at); err != nil {
		t.Fatal(err)
	}
}

func cutFile(t *testing.T, s *spool, size int64) {
	t.Helper()
	if err := s.file.Truncate(size); err != nil {
		t.Fatal(err)
	}
}
