package delivery

import (
	"testing"
	"time"
)

func TestMark(t *testing.T) {
	for s, ok := range map[string]bool{
		"deliver": true, "deliver;order=H36%2F1": true, "deliver;order=k;expires=1790000000000": true, "status;id=VN-1": true,
		"": false, "status": false, "status;order=k": false, "deliver;id=1": false, "deliver;order=": false, "deliver;order=a;order=b": false,
		"deliver;expires=-1": false, "deliver;expires=99999999999999999": false, "deliver;x=1": false, "DELIVER": false, "deliver;order=%0a": false, "deliver;order=%ff": false,
	} {
		if _, err := parseMark(s); (err == nil) != ok {
			t.Errorf("parseMark(%q) = %v; want ok %v", s, err, ok)
		}
	}
}

func FuzzMark(f *testing.F) {
	for _, s := range []string{"deliver", "deliver;order=a%20b;expires=1790000000000", "status;id=VN-1", "status;id=%", "deliver;;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := parseMark(s)
		if err != nil {
			return
		}
		again, err := parseMark(m.String())
		if err != nil || again != m {
			t.Errorf("parseMark(%q) = %+v, but its text %q gives %+v, %v", s, m, m.String(), again, err)
		}
		if len(m.order) > maxKey || len(m.id) > maxID || m.expires.After(time.UnixMilli(1<<50)) {
			t.Errorf("parseMark(%q) is out of its limits: %+v", s, m)
		}
	})
}

func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", "0", "17", "-1", "+1", "1e3", "99999999999999999999", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := parseCursor(s); err == nil && n < 0 {
			t.Errorf("parseCursor(%q) = %d", s, n)
		}
	})
}

func FuzzSubscribe(f *testing.F) {
	f.Add([]byte(`{"callback":"VN/GOV/G22/oversight/events","after":3}`))
	f.Add([]byte(`{"callback":"VN/GOV/G22"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		q, callback, err := parseSubscribe(b)
		if err == nil && (callback.String() != q.Callback || q.After != nil && *q.After < 0) {
			t.Errorf("parseSubscribe(%q) = %+v, %v", b, q, callback)
		}
	})
}
