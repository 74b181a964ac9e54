package paper

import (
	"bytes"
	"image/png"
	"math"
	"os"
	"strings"
	"testing"

	"truc/internal/i18n"
)

func arrival() Arrival {
	return Arrival{Agency: "Sở Khoa học và Công nghệ", Number: "112", Date: Date{2026, 11, 22}, Forward: "Phòng Chuyển đổi số", File: ""}
}

// The stamp is 50 × 35 mm, red, and says what the law's does.
func TestArrivalOverlay(t *testing.T) {
	const dpi = 127
	for name, a := range map[string]Arrival{
		"usual": arrival(),
		"long": {
			Agency: strings.Repeat("Ban Quản lý dự án đầu tư xây dựng ", 5), Number: "1234567890", Date: Date{2026, 1, 2},
			Forward: strings.Repeat("Phòng Kinh tế, Hạ tầng và Đô thị ", 4), File: "G98.2026.0001/HS-QLDA",
		},
	} {
		t.Run(name, func(t *testing.T) {
			pdf, err := ArrivalOverlay(a, now)
			if err != nil {
				t.Fatal(err)
			}
			box := extent(picture(t, pdf, 1, dpi), isRed)
			mm := func(px int) float64 { return float64(px) / dpi * 25.4 }
			if math.Abs(mm(box.Dx())-50.5) > 0.8 || math.Abs(mm(box.Dy())-35.5) > 0.8 {
				t.Errorf("the stamp is %.1f × %.1f mm", mm(box.Dx()), mm(box.Dy()))
			}
			got := pageText(t, pdf, 1)
			for _, want := range []string{"ĐẾN", "Số: " + a.Number, "Ngày: " + dayOf(a.Date), "Chuyển: "} {
				if !strings.Contains(got, want) {
					t.Errorf("the stamp lacks %q: %s", want, got)
				}
			}
		})
	}
}

func TestArrivalPicture(t *testing.T) {
	b, err := ArrivalPicture(arrival())
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if s := img.Bounds().Size(); s.X*35 != s.Y*50 {
		t.Errorf("the picture is %v; want 50 to 35", s)
	}
	if _, _, _, a := img.At(60, 60).RGBA(); a != 0 {
		t.Error("the ground is not transparent")
	}
	if _, _, _, a := img.At(5, 5).RGBA(); a == 0 {
		t.Error("there is no frame")
	}
	if at := os.Getenv("TRUC_KEEP_PICTURES"); at != "" {
		_ = os.WriteFile(at+"/arrival.png", b, 0o600)
	}
	if _, err := ArrivalPicture(Arrival{}); err == nil {
		t.Error("a stamp without an agency; want an error")
	}
}

func TestHandlingSlip(t *testing.T) {
	sl := Slip{
		Superior: "Ủy ban nhân dân tỉnh Ví Dụ", Arrival: arrival(), TypeName: "Quyết định", Subject: "ban hành Quy chế gửi, nhận văn bản điện tử", Code: "08/QĐ-BVD",
		Date: Date{2026, 11, 20}, Author: "Bộ Ví Dụ", Deadline: Date{2026, 12, 1},
		Leader: []Opinion{{At: now, Name: "Nguyễn Văn An", Title: "Giám đốc", Text: "Giao Phòng Chuyển đổi số chủ trì, phối hợp Văn phòng tham mưu; báo cáo trước ngày 01/12/2026."}},
		Unit:   []Opinion{{At: now, Name: "Trần Thị Bình", Title: "Trưởng phòng", Text: strings.Repeat("Đồng chí Cường thực hiện. ", 30)}},
		Now:    now,
	}
	pdf, err := HandlingSlip(sl)
	if err != nil {
		t.Fatal(err)
	}
	picture(t, pdf, 1, 70)
	got := pageText(t, pdf, 1)
	for _, want := range []string{
		"PHIẾU GIẢI QUYẾT", "VĂN BẢN ĐẾN", "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Số: 112", "08/QĐ-BVD", "20/11/2026", "Bộ Ví Dụ", "01/12/2026",
		"Ý kiến của lãnh đạo cơ quan, tổ chức:", "Ý kiến của lãnh đạo đơn vị:", "Ý kiến đề xuất của người giải quyết:", "Giám đốc Nguyễn Văn An, " + i18n.DateTime(now),
		"Giao Phòng Chuyển đổi số chủ trì",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the slip lacks %q:\n%s", want, got)
		}
	}
}
