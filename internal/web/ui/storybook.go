package ui

import (
	"embed"
	"fmt"
	"net/http"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/reqctx"
)

//go:embed storybook/*.html
var storybookFS embed.FS

// story is one page of the storybook. Its texts are sample data, not messages.
type story struct {
	Page
	Pages []NavItem
	C     map[string]any // components by the name the template knows them by
}

// Storybook returns a handler that shows every component with sample data, long names, empty states and errors. It
// is for development only; mount it at "GET /_storybook/".
func (rd *Renderer) Storybook() (http.Handler, error) {
	pages, err := rd.Parse(storybookFS, "storybook/*.html")
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.Trim(strings.TrimPrefix(r.URL.Path, "/_storybook"), "/")
		if kind, ok := strings.CutPrefix(name, "error/"); ok {
			rd.storyError(w, r, kind)
			return
		}
		if name == "" {
			name = "home"
		}
		build, ok := stories()[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		s := story{Page: NewPage(r, ""), C: map[string]any{}}
		build(&s)
		if s.Layout != Citizen {
			r = r.WithContext(reqctx.WithPrincipal(r.Context(), reqctx.Principal{
				Kind: reqctx.Officer, Name: "Công Tằng Tôn Nữ Thuỷ Quỳnh", Agency: "H36.14",
			}))
		}
		if err := pages.Render(w, r, http.StatusOK, name, s); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}), nil
}

func (rd *Renderer) storyError(w http.ResponseWriter, r *http.Request, name string) {
	for k := errs.Internal; k <= errs.Limited; k++ {
		if k.String() != name {
			continue
		}
		if err := rd.RenderError(w, r, k, k.Status(), "error."+name, "seconds", 12); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
		return
	}
	http.NotFound(w, r)
}

func stories() map[string]func(*story) {
	return map[string]func(*story){
		"home": storyHome, "question": storyQuestion, "forms": storyForms, "errors": storyErrors, "check": storyCheck,
		"done": storyDone, "track": storyTrack, "worklist": storyWorklist, "leader": storyLeader, "empty": storyEmpty,
	}
}

const (
	storyName   = "Công chúa Ngọc Hân Nguyễn Phúc Tôn Nữ Thuỷ Quỳnh"
	storyAgency = "Sở Nông nghiệp và Môi trường tỉnh Lâm Đồng"
)

func storyTime(day, hour, minute int) time.Time {
	return time.Date(2026, time.November, day, hour-7, minute, 0, 0, time.UTC)
}

func storySource() *Source {
	return &Source{Register: "CSDL quốc gia về dân cư", At: storyTime(21, 14, 2), ReportURL: "/_storybook/forms"}
}

func storyHome(s *story) {
	s.Title = "Cần làm thủ tục gì?"
	s.C["search"] = Search{
		Label: "Cần làm thủ tục gì?", Hint: "Gõ có dấu hoặc không dấu, ví dụ: khai sinh, trich luc ho tich", Action: "/_storybook/",
		Name: "q", Big: true,
	}
	s.C["notice"] = Notice{
		Tone: Soon, Title: "Có 1 hồ sơ chờ Ông/Bà bổ sung", Text: "H36.14-261118-0042, đăng ký khai sinh. Bổ sung trước thứ Sáu, 27/11/2026.",
		Action: &Action{Text: "Xem và bổ sung", URL: "/_storybook/track"},
	}
	for _, n := range []string{"question", "forms", "errors", "check", "done", "track", "worklist", "leader", "empty"} {
		s.Pages = append(s.Pages, NavItem{Text: n, URL: "/_storybook/" + n})
	}
	for k := errs.Internal; k <= errs.Limited; k++ {
		s.Pages = append(s.Pages, NavItem{Text: "error " + k.String(), URL: "/_storybook/error/" + k.String()})
	}
}

func storyQuestion(s *story) {
	s.Title, s.Back = "Trẻ sinh ngày nào?", "/_storybook/"
	s.C["step"] = Stepper{Step: 2, Of: 5, Name: "Thông tin của trẻ"}
	s.C["date"] = Date3{
		Name: "born", Legend: "Trẻ sinh ngày nào?", Hint: "Ví dụ: 21 11 2026", Big: true, Day: "19", Month: "11", Year: "2026",
		Source: &Source{Register: "Giấy chứng sinh điện tử, Bệnh viện Đa khoa tỉnh Lâm Đồng", At: storyTime(19, 9, 40), ReportURL: "/"},
	}
	s.C["why"] = Details{Summary: "Vì sao hỏi điều này?", Text: "Thời hạn đăng ký khai sinh là 60 ngày kể từ ngày sinh. Quá hạn vẫn đăng ký được."}
	s.C["next"] = Button{Text: "Tiếp tục"}
	s.C["later"] = Button{Text: "Lưu và làm sau", Kind: "link", Name: "later", Value: "1", NoValidate: true}
}

func storyForms(s *story) {
	s.Title, s.Back = "Thành phần biểu mẫu", "/_storybook/"
	storyFields(s)
}

func storyErrors(s *story) {
	s.Title, s.Back = "Biểu mẫu có lỗi", "/_storybook/"
	s.Problems.AddText("name", "Nhập họ, chữ đệm và tên.")
	s.Problems.AddText("pin", "Nhập số định danh gồm 12 chữ số. Ông/Bà mới nhập 11.")
	s.Problems.AddText("born", "Ngày sinh phải là một ngày có thật. Tháng 2 năm 2026 có 28 ngày.")
	s.Problems.AddText("sex", "Chọn giới tính.")
	s.Problems.AddText("ward", "Chọn xã, phường, đặc khu.")
	s.Problems.AddText("paper", "Tệp lớn 14 MB, quá giới hạn 6 MB. Quét lại ở 150 dpi hoặc chia thành hai tệp.")
	s.Problems.AddText("note", "Lý do dài 620 ký tự. Rút còn tối đa 500.")
	s.Problems.AddText("declare", "Đánh dấu cam đoan trước khi nộp.")
	storyFields(s)
}

func storyFields(s *story) {
	ps := s.Problems
	s.C["name"] = Input{Name: "name", Label: "Họ, chữ đệm và tên", Hint: "Viết như trong giấy tờ", Value: storyName, Autocomplete: "name", Error: ps.For("name")}
	s.C["pin"] = Input{
		Name: "pin", Label: "Số định danh cá nhân", Hint: "12 chữ số", Value: "09920400012", InputMode: "numeric", MaxLength: 12,
		Width: "12", Error: ps.For("pin"),
	}
	s.C["prefilled"] = Input{Name: "prefilled", Label: "Nơi thường trú", Value: "Thôn 3, xã Đạ Huoai, tỉnh Lâm Đồng", ReadOnly: true, Source: storySource()}
	s.C["fee"] = Input{Name: "fee", Label: "Số bản sao", Value: "2", InputMode: "numeric", Width: "3", Suffix: "bản", Optional: true}
	s.C["born"] = Date3{Name: "born", Legend: "Ngày sinh", Hint: "Ví dụ: 21 11 2026", Day: "30", Month: "2", Year: "2026", Error: ps.For("born")}
	s.C["sex"] = Radios{
		Name: "sex", Legend: "Giới tính", Inline: true, Error: ps.For("sex"),
		Options: []Option{{Value: "2", Label: "Nữ"}, {Value: "1", Label: "Nam"}},
	}
	s.C["receive"] = Radios{
		Name: "receive", Legend: "Nhận kết quả bằng cách nào?", Value: "post",
		Options: []Option{
			{Value: "online", Label: "Bản điện tử trong kho dữ liệu cá nhân", Hint: "Có ngay khi ký, giá trị như bản giấy"},
			{Value: "post", Label: "Bưu chính đến nơi ở hiện tại", Hint: "2 đến 3 ngày, cước 25.000 đồng trả khi nhận"},
			{Value: "office", Label: "Đến Trung tâm Phục vụ hành chính công phường Xuân Hương – Đà Lạt", Hint: "Tạm ngừng đến 30/11/2026 vì sửa trụ sở", Disabled: true},
		},
	}
	s.C["papers"] = Checkboxes{
		Name: "papers", Legend: "Giấy tờ muốn trích lục", Hint: "Chọn tất cả những gì cần", Values: []string{"birth"},
		Options: []Option{{Value: "birth", Label: "Khai sinh"}, {Value: "marriage", Label: "Kết hôn", Hint: "Chỉ của chính mình"}, {Value: "death", Label: "Khai tử"}},
	}
	s.C["ward"] = Select{
		Name: "ward", Label: "Xã, phường, đặc khu", Empty: "Chọn một nơi", Error: ps.For("ward"),
		Options: []Option{{Value: "1", Label: "Phường Xuân Hương – Đà Lạt"}, {Value: "2", Label: "Xã Đạ Huoai"}, {Value: "3", Label: "Đặc khu Phú Quý"}},
	}
	s.C["paper"] = File{
		Name: "paper", Label: "Giấy chứng sinh", Hint: "Chụp thẳng, thấy đủ bốn góc.", Accept: []string{"PDF", "JPG", "PNG"}, MaxMB: 6, Multiple: true,
		Error: ps.For("paper"), Current: []FileItem{{Name: "giay_chung_sinh_ban_quet_trang_1_va_2_benh_vien_da_khoa_lam_dong.pdf", Size: "1,2 MB", URL: "/", Remove: "1"}},
	}
	s.C["note"] = Textarea{Name: "note", Label: "Lý do đề nghị", MaxLength: 500, Optional: true, Value: "Ế ệ ữ Ặ ậ Ợ ự Ỹ", Error: ps.For("note")}
	s.C["declare"] = Checkboxes{
		Name: "declare", Legend: "Cam đoan", NoLegend: true, Error: ps.For("declare"),
		Options: []Option{{Value: "yes", Label: "Tôi cam đoan những lời khai trên là đúng sự thật và chịu trách nhiệm trước pháp luật về lời khai của mình"}},
	}
	s.C["primary"] = Button{Text: "Tiếp tục"}
	s.C["accent"] = Button{Text: "Ký và nộp", Kind: "accent"}
	s.C["secondary"] = Button{Text: "Yêu cầu bổ sung", Kind: "secondary"}
	s.C["danger"] = Button{Text: "Rút hồ sơ", Kind: "danger"}
	s.C["start"] = Button{Text: "Bắt đầu", URL: "/_storybook/question", Start: true}
	s.C["disabled"] = Button{Text: "Trả kết quả", Reason: "Chưa trả được: còn chờ thanh toán 25.000 đồng."}
	s.C["link"] = Button{Text: "Lưu và làm sau", Kind: "link"}
}

func storyCheck(s *story) {
	s.Title, s.Back = "Kiểm tra trước khi nộp", "/_storybook/question"
	edit := func(what string) []Action {
		return []Action{{Text: "Sửa", URL: "/_storybook/question", Hidden: what}}
	}
	s.C["child"] = SummaryList{Title: "Trẻ được khai sinh", Rows: []SummaryRow{
		{Key: "Họ, chữ đệm và tên", Value: storyName, Actions: edit("họ tên")},
		{Key: "Ngày sinh", Value: "19/11/2026 (thứ Năm)", Source: &Source{Register: "Giấy chứng sinh điện tử", At: storyTime(19, 9, 40)}, Actions: edit("ngày sinh")},
		{Key: "Tên gọi khác", Actions: edit("tên gọi khác")},
	}}
	s.C["mother"] = SummaryList{Rows: []SummaryRow{
		{Key: "Số định danh của mẹ", Value: "0992•••••234", Source: storySource(), Actions: edit("số định danh")},
		{Key: "Nơi thường trú", Lines: []string{"Thôn 3, xã Đạ Huoai", "tỉnh Lâm Đồng"}, Actions: edit("nơi thường trú")},
		{Key: "Lệ phí", Value: "Miễn (trẻ khai sinh đúng hạn)", Tag: &Tag{Text: "Đã miễn", Tone: Done}},
	}}
	s.C["tasks"] = TaskList{Tasks: []Task{
		{Title: "Thông tin của trẻ", URL: "/", Status: Tag{Text: "Đã xong", Tone: Done}},
		{Title: "Cha và mẹ", URL: "/", Hint: "Còn thiếu nơi thường trú của cha", Status: Tag{Text: "Đang làm", Tone: Info}},
		{Title: "Giấy tờ kèm theo", URL: "/", Status: Tag{Text: "Cần sửa", Tone: Late}},
		{Title: "Thanh toán", Hint: "Làm được khi xong các phần trên", Status: Tag{Text: "Chưa làm được"}},
	}}
	s.C["inset"] = Inset{Text: "Trục lấy giúp 9 trên 12 mục từ dữ liệu nhà nước đã có."}
	s.C["warning"] = Inset{Text: "Khai sai sự thật có thể bị xử phạt theo Nghị định 82/2020/NĐ-CP.", Warning: true}
	s.C["submit"] = Button{Text: "Ký và nộp", Kind: "accent"}
}

func storyDone(s *story) {
	s.Title = "Đã nhận hồ sơ"
	s.C["panel"] = Panel{Title: "Đã nhận hồ sơ", Label: "Mã hồ sơ", Ref: "H36.14-261121-0007", Text: "Trả kết quả trước 17:00 thứ Hai, 23/11/2026."}
	s.C["slip"] = Button{Text: "Tải giấy tiếp nhận (PDF, 84 kB)", Kind: "secondary", URL: "/"}
}

func storyTrack(s *story) {
	s.Title, s.Back = "Hồ sơ H36.14-261118-0042", "/_storybook/"
	s.C["notice"] = Notice{
		Tone: Soon, Title: "Cần Ông/Bà bổ sung 1 giấy tờ", Lines: []string{"Bản chụp giấy chứng sinh, thấy rõ dấu của bệnh viện"},
		Action: &Action{Text: "Bổ sung", URL: "/"},
	}
	s.C["timeline"] = Timeline{Events: []TimelineEvent{
		{Title: "Nộp hồ sơ", When: storyTime(18, 20, 14), Who: "nộp trực tuyến"},
		{Title: "Tiếp nhận, hẹn trả 23/11/2026", When: storyTime(19, 8, 5), Who: "Phạm Thị Ánh Nguyệt, UBND phường Xuân Hương – Đà Lạt"},
		{Title: "Yêu cầu bổ sung", When: storyTime(20, 10, 30), Who: storyAgency, Text: "Ảnh giấy chứng sinh bị mờ dấu. Đồng hồ tạm dừng từ lúc này.", State: "ask", Links: []Action{{Text: "Bổ sung", URL: "/"}, {Text: "Vì sao?", URL: "/"}}},
		{Title: "Chờ Ông/Bà bổ sung", State: "now", Clock: &Clock{Words: "còn 4 ngày làm việc", Tone: Soon, Due: storyTime(27, 17, 0)}},
		{Title: "Thẩm định", State: "next", Who: "1 ngày làm việc sau khi bổ sung"},
		{Title: "Ký và trả kết quả", State: "next"},
	}}
	s.C["usage"] = Table{
		Caption: "Trong 12 tháng qua, 7 lượt xem dữ liệu", Columns: []Column{{Text: "Lúc"}, {Text: "Cơ quan"}, {Text: "Vì sao"}, {Text: "Biên nhận", Hidden: true}},
		Rows: []Row{
			{Cells: []Cell{{Text: "14:02 21/11/2026", Head: true}, {Text: storyAgency}, {Text: "Hồ sơ H36.14-261118-0042", URL: "/", Sub: "Họ tên, ngày sinh, nơi thường trú"}, {Text: "Biên nhận", URL: "/"}}},
			{Cells: []Cell{{Text: "09:15 03/10/2026", Head: true}, {Text: "Bộ Tư pháp"}, {Text: "Trích lục kết hôn"}, {Text: "Biên nhận", URL: "/"}}},
		},
	}
	s.C["clocks"] = []Clock{{Words: "còn 2 ngày làm việc", Tone: Done, Due: storyTime(23, 17, 0)}, {Words: "còn 3 giờ", Tone: Soon}, {Words: "quá hạn 3 giờ", Tone: Late}, {Words: "tạm dừng"}}
	s.C["tags"] = []Tag{{Text: "Mới nộp"}, {Text: "Đang xử lý", Tone: Info}, {Text: "Chờ bổ sung", Tone: Soon}, {Text: "Đã trả kết quả", Tone: Done}, {Text: "Quá hạn", Tone: Late}}
	s.C["notices"] = []Notice{
		{Title: "Hệ thống nghỉ từ 22:00 đến 23:00 hôm nay", Text: "Hồ sơ đang làm dở được giữ lại."},
		{Tone: Done, Title: "Đã thanh toán 25.000 đồng"},
		{Tone: Late, Title: "Thanh toán không thành công", Text: "Ngân hàng từ chối. Tài khoản chưa bị trừ tiền.", Alert: true},
	}
}

func storyEmpty(s *story) {
	s.Title, s.Back = "Khi chưa có gì", "/_storybook/"
	s.C["table"] = Table{Caption: "Hồ sơ của tôi", Empty: &Empty{
		Title: "Chưa có hồ sơ nào", Text: "Hồ sơ đã nộp sẽ hiện ở đây, kèm thời hạn và việc cần làm.",
		Action: &Button{Text: "Tìm thủ tục", URL: "/_storybook/", Kind: "secondary"},
	}}
	s.C["summary"] = SummaryList{Rows: []SummaryRow{{Key: "Điện thoại"}}}
	s.C["timeline"], s.C["bars"], s.C["trend"] = Timeline{}, BarChart{Title: "Không có số liệu"}, TrendChart{Name: "none", Title: "Không có số liệu"}
	s.C["input"], s.C["radios"], s.C["checks"] = Input{Name: "a", Label: "Một"}, Radios{Name: "b", Legend: "Hai"}, Checkboxes{Name: "c", Legend: "Ba"}
	s.C["select"], s.C["date"] = Select{Name: "d", Label: "Bốn"}, Date3{Name: "e", Legend: "Năm"}
}

func storyNav() []NavItem {
	return []NavItem{
		{Text: "Hồ sơ", URL: "/_storybook/worklist", Count: 127},
		{Text: "Tiếp nhận tại quầy", URL: "/desk/counter"},
		{Text: "Giám sát", URL: "/_storybook/leader"},
		{Text: "Thủ tục", URL: "/desk/procedures"},
		{Text: "Quản trị nút", URL: "/admin"},
	}
}

func storyWorklist(s *story) {
	s.Title, s.Layout, s.Nav = "Hồ sơ đang xử lý", Officer, storyNav()
	s.C["counters"] = Counters{Title: "Trạng thái", Items: []Counter{
		{Text: "Mới nộp", URL: "?state=new", Count: 14},
		{Text: "Đang xử lý", URL: "?state=work", Count: 1127, Current: true},
		{Text: "Quá hạn", URL: "?state=late", Count: 3, Tone: Late},
		{Text: "Sắp đến hạn", URL: "?state=soon", Count: 9, Tone: Soon},
		{Text: "Chờ người dân bổ sung", URL: "?state=ask", Count: 6},
		{Text: "Chờ cơ quan khác", URL: "?state=wait", Count: 0},
	}}
	s.C["search"] = Search{Label: "Tìm theo mã, họ tên hoặc số định danh", Action: "/_storybook/worklist", Name: "q"}
	t := Table{Caption: "Hồ sơ đang xử lý, xếp theo hạn", HideCaption: true, Dense: true, Columns: []Column{
		{Text: "Mã hồ sơ"},
		{Text: "Thời hạn", URL: "?sort=due", Sort: "ascending"},
		{Text: "Thủ tục"},
		{Text: "Người nộp", URL: "?sort=name"},
		{Text: "Trạng thái"},
		{Text: "Lệ phí", Numeric: true},
	}}
	rows := []struct {
		clock Clock
		name  string
		tag   Tag
		fee   string
	}{
		{Clock{Words: "quá hạn 3 giờ", Tone: Late}, storyName, Tag{Text: "Thẩm định", Tone: Info}, "0"},
		{Clock{Words: "còn 1 ngày", Tone: Soon}, "Đặng Ngọc Ẩn", Tag{Text: "Chờ ký", Tone: Soon}, "25.000"},
		{Clock{Words: "còn 4 ngày", Tone: Done}, "Ksor H’Nhẫn", Tag{Text: "Mới nộp"}, "8.000"},
		{Clock{Words: "tạm dừng"}, "Nguyễn Hữu Đặng Thuỷ Quỳnh", Tag{Text: "Chờ bổ sung", Tone: Soon}, "1.250.000"},
	}
	for i := range 3 * len(rows) {
		d := rows[i%len(rows)]
		t.Rows = append(t.Rows, Row{Tone: map[bool]Tone{true: Late}[d.clock.Tone == Late], Cells: []Cell{
			{Text: fmt.Sprintf("H36.14-2611%02d-%04d", 18+i%4, 42+i*7), URL: "/_storybook/track", Code: true},
			{Clock: &d.clock},
			{Text: "Đăng ký khai sinh", Sub: "1.001193 · " + storyAgency},
			{Text: d.name},
			{Tag: &d.tag},
			{Text: d.fee},
		}})
	}
	s.C["table"] = t
	s.C["pages"] = Pagination{Prev: "?page=6", Next: "?page=8", Pages: []PageLink{{Number: 1, URL: "?"}, {Gap: true}, {Number: 6, URL: "?page=6"}, {Number: 7, Current: true}, {Number: 8, URL: "?page=8"}, {Gap: true}, {Number: 212, URL: "?page=212"}}}
	s.C["ask"] = Radios{Name: "decision", Legend: "Ý kiến", Options: []Option{{Value: "ok", Label: "Đồng ý, trình ký"}, {Value: "more", Label: "Yêu cầu bổ sung"}}}
	s.C["agree"] = Checkboxes{Name: "seen", Legend: "Đã đối chiếu", Values: []string{"1"}, Options: []Option{{Value: "1", Label: "Giấy chứng sinh"}, {Value: "2", Label: "Giấy tờ của mẹ"}}}
	s.C["opinion"] = Textarea{Name: "opinion", Label: "Lý do hoặc ghi chú", Rows: 3, Optional: true}
	s.C["go"], s.C["stop"] = Button{Text: "Trình ký"}, Button{Text: "Từ chối", Kind: "link"}
	s.C["why"] = Button{Text: "Trả kết quả", Kind: "secondary", Reason: "Chưa trả được: còn chờ thanh toán."}
}

func storyLeader(s *story) {
	s.Title, s.Layout, s.Nav = "Giải quyết thủ tục toàn quốc", Leader, storyNav()
	s.C["figures"] = Figures{Items: []Figure{
		{Label: "Đúng hạn", Value: "96,8 %", Note: "mục tiêu 98 %, tháng 11/2026", URL: "/", Tone: Soon},
		{Label: "Hồ sơ quá hạn", Value: "1.204", Note: "gia hạn 311, tạm dừng 2.087", URL: "/", Tone: Late},
		{Label: "Nộp trực tuyến", Value: "71,3 %", Note: "tăng 4,1 điểm so với tháng trước", Tone: Done},
		{Label: "Nút trả lời", Value: "32 / 34", Note: "2 nút im lặng từ 13:10", URL: "/"},
	}}
	s.C["bars"] = BarChart{
		Title: "Tỷ lệ đúng hạn theo cơ quan", Desc: "Mười một tháng năm 2026, số liệu của 14:05.", LabelHead: "Cơ quan", ValueHead: "Đúng hạn", Target: 98, TargetText: "Mục tiêu 98 %", Max: 100,
		Bars: []Bar{
			{Label: "UBND tỉnh Lâm Đồng", Value: 99.1, Text: "99,1 %", URL: "/", Tone: Done},
			{Label: storyAgency, Value: 97.2, Text: "97,2 %", URL: "/", Note: "124 phường, xã, đặc khu"},
			{Label: "UBND thành phố Huế", Value: 88.4, Text: "88,4 %", URL: "/", Tone: Soon},
			{Label: "Bộ Tư pháp", Value: 41, Text: "41,0 %", URL: "/", Tone: Late, Note: "im lặng từ 13:10"},
			{Label: "Chưa có hồ sơ", Value: 0, Text: "–"},
		},
	}
	c := TrendChart{
		Name: "ontime", Title: "Hồ sơ trả đúng hạn mỗi tháng", Desc: "Tăng từ 61 % lên 97 % trong mười một tháng; tháng 6 thiếu số liệu.", LabelHead: "Tháng", ValueHead: "Đúng hạn",
		Target: 98, TargetText: "Mục tiêu 98 %", Max: 100, Unit: " %",
	}
	for i, v := range []float64{61, 64, 70, 72, 79, 0, 85, 88, 93, 95.5, 96.8} {
		c.Points = append(c.Points, Point{Label: fmt.Sprintf("%d/26", i+1), Value: v, Text: strings.ReplaceAll(fmt.Sprintf("%.1f %%", v), ".", ","), Missing: v == 0})
	}
	s.C["trend"] = c
}
