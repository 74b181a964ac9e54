package i18n

import (
	"testing"
	"testing/fstest"
	"time"
)

func TestFold(t *testing.T) {
	tests := []struct{ in, want string }{
		{"Đăng ký khai sinh", "dang ky khai sinh"},
		{"  TRÍCH   LỤC\thộ tịch ", "trich luc ho tich"},
		{"Nguyễn Thị Đẹp", "nguyen thi dep"},
		{"Nguye\u0302\u0303n", "nguyen"}, // decomposed, as macOS sends it
		{"K'Brết", "k'bret"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := Fold(tt.in); got != tt.want {
			t.Errorf("Fold(%q) = %q; want %q", tt.in, got, tt.want)
		}
	}
}

func TestFormats(t *testing.T) {
	at := time.Date(2026, 11, 21, 17, 30, 0, 0, time.UTC) // half past midnight of the next day in Vietnam
	if got := Date(at); got != "22/11/2026" {
		t.Errorf("Date() = %q", got)
	}
	if got := DateTime(at); got != "00:30 22/11/2026" {
		t.Errorf("DateTime() = %q", got)
	}
	if got := LongDate("vi", at); got != "Chủ nhật, 22/11/2026" {
		t.Errorf("LongDate(vi) = %q", got)
	}
	if got := LongDate("en", at); got != "Sunday, 22/11/2026" {
		t.Errorf("LongDate(en) = %q", got)
	}
	if Date(time.Time{}) != "" || DateTime(time.Time{}) != "" || LongDate("vi", time.Time{}) != "" {
		t.Error("no time has a date")
	}
	for n, want := range map[int64]string{0: "0 đồng", 999: "999 đồng", 25000: "25.000 đồng", 1234567: "1.234.567 đồng", -8000: "-8.000 đồng"} {
		if got := Money("vi", n); got != want {
			t.Errorf("Money(%d) = %q; want %q", n, got, want)
		}
	}
	if got := Money("en", 25000); got != "25,000 VND" {
		t.Errorf("Money(en) = %q", got)
	}
}

func TestCatalogue(t *testing.T) {
	c, err := Load(fstest.MapFS{
		"vi/a.json": {Data: []byte(`{"a.hello": "Chào {name}", "a.only": "chỉ tiếng Việt"}`)},
		"en/a.json": {Data: []byte(`{"a.hello": "Hello {name}"}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.T("en", "a.hello", "name", "Hà"); got != "Hello Hà" {
		t.Errorf("T() = %q", got)
	}
	if got := c.T("en", "a.only"); got != "chỉ tiếng Việt" {
		t.Errorf("T() = %q; want the Vietnamese text", got)
	}
	if got := c.T("vi", "a.none"); got != "[a.none]" {
		t.Errorf("T() = %q; want a visible gap", got)
	}
	if _, err := Load(fstest.MapFS{"vi/a.json": {Data: []byte(`{"x": "1"}`)}, "vi/b.json": {Data: []byte(`{"x": "2"}`)}}); err == nil {
		t.Error("a key defined twice was accepted")
	}
	if got := (Text{"en": "x"}).In("vi"); got != "x" {
		t.Errorf("Text.In() = %q", got)
	}
}
