package documents

import "testing"

func TestContactLine(t *testing.T) {
	for _, c := range []struct {
		office Office
		want   string
	}{
		{Office{Name: "Sở Mẫu"}, ""},
		{Office{Email: "vanthu@mau.example"}, "Thư điện tử: vanthu@mau.example"},
		{
			Office{Address: "Số 4 Trần Hưng Đạo", Telephone: "0263 0000000", Email: "vanthu@mau.example", Website: "mau.example"},
			"Địa chỉ: Số 4 Trần Hưng Đạo; Điện thoại: 0263 0000000; Thư điện tử: vanthu@mau.example; mau.example",
		},
	} {
		if got := c.office.contact(); got != c.want {
			t.Errorf("contact of %+v = %q, want %q", c.office, got, c.want)
		}
	}
}
