package identity

import (
	"crypto/rand"
	"testing"
	"time"

	"truc/internal/reqctx"
)

func sealer(t testing.TB) *Sealer {
	t.Helper()
	s, err := NewSealer(make([]byte, 32), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealer(t *testing.T) {
	now := time.Date(2026, 11, 21, 7, 0, 0, 0, time.UTC)
	svc := &Service{Now: func() time.Time { return now }}
	f, err := svc.NewFlow(reqctx.Citizen, "/my?x=1")
	if err != nil {
		t.Fatal(err)
	}
	s := sealer(t)
	value, err := s.Seal(f)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Open(value, now); err != nil || got != f {
		t.Errorf("Open = %+v, %v; want %+v", got, err, f)
	}
	if _, err := s.Open(value, now.Add(FlowTime)); err == nil {
		t.Error("an old flow opens")
	}
	for i := range len(value) {
		b := []byte(value)
		if b[i] == 'A' {
			b[i] = 'B'
		} else {
			b[i] = 'A'
		}
		// The last letter carries bits that decoding drops; a change there may change nothing.
		if got, err := s.Open(string(b), now); err == nil && got != f {
			t.Fatalf("a changed letter at %d opens as %+v", i, got)
		}
	}
	other, err := NewSealer(append(make([]byte, 31), 1), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(value, now); err == nil {
		t.Error("another key opens the flow")
	}
	if _, err := s.Seal(Flow{Next: string(make([]byte, 4000))}); err == nil {
		t.Error("a flow too long for a cookie is sealed")
	}
}

func FuzzOpen(f *testing.F) {
	now := time.Date(2026, 11, 21, 7, 0, 0, 0, time.UTC)
	s := sealer(f)
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, value string) {
		if got, err := s.Open(value, now); err == nil {
			t.Errorf("a stranger's %q opens as %+v", value, got)
		}
	})
}

func TestDeviceName(t *testing.T) {
	tests := map[string]string{
		"": "",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0": "Edge, Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605 (KHTML, like Gecko) Version/19.0 Mobile Safari/604": "Safari, iPhone",
		"Mozilla/5.0 (Linux; Android 16; SM-A165F) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36":    "Chrome, Android",
		"<script>alert(1)</script>": "",
		"curl/8.16.0":               "curl",
	}
	for agent, want := range tests {
		if got := DeviceName(agent); got != want {
			t.Errorf("DeviceName(%q) = %q; want %q", agent, got, want)
		}
	}
}
