package adminunits

import (
	"testing"
	"unicode"
	"unicode/utf8"
)

func load(t testing.TB) *Units {
	t.Helper()
	u, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestLoad(t *testing.T) {
	u := load(t)
	if got := len(u.Provinces()); got != 34 {
		t.Errorf("len(Provinces()) = %d; want 34", got)
	}
	n := 0
	for _, p := range u.Provinces() {
		if !p.IsProvince() || len(p.Code) != 2 {
			t.Errorf("province %+v has a wrong shape", p)
		}
		for _, c := range u.Communes(p.Code) {
			n++
			if len(c.Code) != 5 || !u.In(c.Code, p.Code) {
				t.Errorf("commune %+v has a wrong shape", c)
			}
			if r, _ := utf8.DecodeRuneInString(c.FullName); !unicode.IsUpper(r) {
				t.Errorf("full name %q begins with a small letter", c.FullName)
			}
		}
	}
	if n != 3321 {
		t.Errorf("communes = %d; want 3321", n)
	}
}

func TestFind(t *testing.T) {
	u := load(t)
	tests := []struct{ code, want string }{
		{"68", "Tỉnh Lâm Đồng"}, {"46", "Thành phố Huế"}, {"24781", "Phường Xuân Hương - Đà Lạt"}, {"06325", "Xã Bắc Sơn"}, {"99999", ""}, {"", ""},
	}
	for _, tt := range tests {
		if got, ok := u.Find(tt.code); got.FullName != tt.want || ok != (tt.want != "") {
			t.Errorf("Find(%q) = %q, %v; want %q", tt.code, got.FullName, ok, tt.want)
		}
	}
	if got, want := u.Address("12 Trần Phú", "24781"), "12 Trần Phú, Phường Xuân Hương - Đà Lạt, Tỉnh Lâm Đồng"; got != want {
		t.Errorf("Address = %q; want %q", got, want)
	}
	if u.In("24781", "46") || u.In("24781", "") {
		t.Error("In says a ward of Lâm Đồng lies elsewhere")
	}
}

func TestSearch(t *testing.T) {
	u := load(t)
	tests := []struct {
		text, province string
		want           string
	}{
		{"xuan huong", "68", "24781"}, {"Xuân Hương", "", "24781"}, {"lam dong", "", "68"}, {"phu xuan", "46", "19753"}, {"d'ran", "68", "24934"},
	}
	for _, tt := range tests {
		found := u.Search(tt.text, tt.province, 10)
		if len(found) == 0 || found[0].Code != tt.want {
			t.Errorf("Search(%q, %q) = %v; want %s first", tt.text, tt.province, found, tt.want)
		}
	}
	if got := u.Search("  ", "", 5); got != nil {
		t.Errorf("Search of nothing = %v; want none", got)
	}
	if got := u.Search("xa", "", 7); len(got) != 7 {
		t.Errorf("limit ignored: %d results", len(got))
	}
}
