package bundle

import (
	"time"

	"truc/internal/i18n"
)

// SampleData fills a document with invented data, for previews and to prove that templates render. The people do
// not exist: no province has the code 099.
func SampleData(p *Procedure) *DocumentData {
	day := time.Date(2026, 11, 21, 14, 30, 0, 0, i18n.Zone)
	person := Party{
		Name: "Nguyễn Hữu Đặng Thuỷ Quỳnh", Identity: "099304000123", Phone: "0900000000", Email: "quynh@example.vn",
		Address: "12 đường Thử Nghiệm, phường Mẫu, tỉnh Lâm Đồng", BirthDate: time.Date(2004, 2, 29, 0, 0, 0, 0, i18n.Zone),
	}
	d := &DocumentData{
		Lang: "vi", Parent: "UBND tỉnh Lâm Đồng", Agency: "UBND phường Mẫu", Unit: "Trung tâm Phục vụ hành chính công",
		Place: "Đà Lạt", Procedure: p.Name, Code: p.Code, Case: i18n.Text{"vi": "Trường hợp mẫu", "en": "Sample case"},
		Number: "H36.14-20261121-0000001", DocNumber: "01/TNHS", Channel: ChannelOnline,
		Applicant: person, Subject: person, Owner: person, Sets: 1,
		Papers: []PaperRow{
			{Name: "Tờ khai", Electronic: true, Status: "accepted"},
			{Name: "Giấy tờ tùy thân", Photo: 1, Status: "missing", Note: "Ảnh mờ, không đọc được"},
		},
		Issued: day, Submitted: day.Add(-time.Hour), Received: day, Due: day.AddDate(0, 0, 2), OldDue: day.AddDate(0, 0, 1),
		Deadline: day.AddDate(0, 0, 7), Finished: day.AddDate(0, 0, 2), ProcessingTime: "1 ngày làm việc",
		DueExplanation: []string{"Chủ nhật 22/11/2026 là ngày nghỉ"}, Delivery: "Nhận trực tuyến",
		Fee: FeeQuote{
			Lines: []FeeAmount{{Code: "LP", Kind: "lePhi", Name: i18n.Text{"vi": "Lệ phí mẫu"}, Full: 16000, Amount: 16000}},
			Full:  16000, Total: 16000, Due: "beforeResult",
		},
		TrackURL: "https://example.vn/t/H36.14-20261121-0000001", InfoURL: "https://example.vn/p/" + p.Code,
		Reason: "Lý do mẫu", LegalBasis: []string{"Nghị định 224/2026/NĐ-CP, Điều 15"},
		Guide:   Officer{Name: "Trần Thị Hướng Dẫn", Title: "Công chức tiếp nhận", Phone: "02630000000"},
		Officer: Officer{Name: "Lê Văn Tư Pháp", Title: "Công chức tư pháp – hộ tịch"},
		Head:    Officer{Name: "Phạm Thị Lãnh Đạo", Title: "Chủ tịch"},
		Rights:  []string{"Khiếu nại theo Luật Khiếu nại", "Nộp lại hồ sơ khi đủ điều kiện"},
		Handovers: []Handover{
			{From: "Bộ phận Một cửa", To: "Công chức hộ tịch", At: day, Result: "before"},
			{From: "Công chức hộ tịch", To: "Lãnh đạo", At: day.Add(3 * time.Hour), Result: "on", Opinion: "Đủ điều kiện"},
		},
		Answers: []AnswerRow{{Page: "sample", Label: "Họ và tên", Value: person.Name, Source: "person"}},
		Raw:     Answers{}, Record: map[string]string{}, RecordSource: "Cơ sở dữ liệu hộ tịch, 14:02 21/11/2026",
		Copies: 2, CopyNo: 1, ResultNumber: "01/2026/TLKS-BS", Version: p.Version.ID,
	}
	return d
}
