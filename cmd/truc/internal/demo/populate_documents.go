package demo

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"truc/internal/documents"
)

// letter is an official document that the demonstration exchanges so that the desks have something to show.
type letter struct {
	from          string
	to            []string
	typ, unit     string
	subject, body string
	urgency       documents.Urgency
	// until is how far it goes: drafting, approved, signed, sent, and at its first receiver accepted, assigned, done.
	until string
}

func letters() []letter {
	return []letter{
		{
			lamDong,
			[]string{hue},
			"CV", "VP", "V/v phối hợp quảng bá du lịch mùa hoa dã quỳ và Festival Huế",
			"Nhằm tăng lượng khách giữa hai địa phương, Ủy ban nhân dân tỉnh Lâm Đồng đề nghị thành phố Huế phối hợp quảng bá các sự kiện trong tháng 12.\nKính đề nghị gửi kế hoạch của thành phố trước ngày 30 để tổng hợp./.", documents.Normal, "done",
		},
		{
			civil,
			[]string{lamDong, hue},
			"CV", "TH", "V/v rà soát dữ liệu hộ tịch đã số hóa, gửi kết quả về Bộ Tư pháp",
			"Bộ Tư pháp đề nghị các địa phương rà soát dữ liệu hộ tịch đã số hóa, đối chiếu với Cơ sở dữ liệu quốc gia về dân cư và gửi kết quả về Bộ.", documents.Urgent, "assigned",
		},
		{
			hue,
			[]string{lamDong},
			"GM", "", "Dự hội nghị kết nối cung cầu sản phẩm OCOP miền Trung - Tây Nguyên",
			"Ủy ban nhân dân thành phố Huế trân trọng kính mời đại diện lãnh đạo Ủy ban nhân dân tỉnh Lâm Đồng dự hội nghị tại Huế.", documents.Normal, "accepted",
		},
		{
			lamDong,
			[]string{civil},
			"BC", "", "Kết quả liên thông thủ tục đăng ký khai sinh quý IV năm 2026",
			"Thực hiện chỉ đạo của Bộ Tư pháp, Ủy ban nhân dân tỉnh báo cáo kết quả liên thông thủ tục đăng ký khai sinh trong quý.\nTỷ lệ hồ sơ giải quyết trước hạn đạt 97%.", documents.Normal, "sent",
		},
		{
			population,
			[]string{lamDong},
			"CV", "TH", "V/v bảo đảm an toàn thông tin khi khai thác Cơ sở dữ liệu quốc gia về dân cư",
			"Bộ Công an đề nghị Ủy ban nhân dân tỉnh rà soát tài khoản khai thác dữ liệu, thu hồi tài khoản không còn sử dụng và báo cáo kết quả.", documents.VeryUrgent, "sent",
		},
		{
			lamDong,
			[]string{hue},
			"CV", "VP", "V/v trao đổi kinh nghiệm vận hành trung tâm phục vụ hành chính công hai cấp",
			"Ủy ban nhân dân tỉnh Lâm Đồng đề nghị bố trí buổi làm việc trực tuyến để trao đổi kinh nghiệm.", documents.Normal, "signed",
		},
		{
			lamDong,
			[]string{hue, civil},
			"KH", "", "Số hóa kết quả giải quyết thủ tục hành chính còn hiệu lực năm 2027",
			"I. MỤC ĐÍCH, YÊU CẦU\nSố hóa đủ kết quả còn hiệu lực, bảo đảm dữ liệu đúng, đủ, sạch, sống.\nII. NỘI DUNG\nGiao các sở, ban, ngành lập danh mục trước ngày 31 tháng 12.", documents.Normal, "approved",
		},
		{
			lamDong, nil, "TB", "", "Lịch trực lãnh đạo Ủy ban nhân dân tỉnh dịp Tết Dương lịch 2027",
			"Văn phòng Ủy ban nhân dân tỉnh thông báo lịch trực như sau.", documents.Normal, "drafting",
		},
	}
}

// deskCrew are the people of one document desk.
type deskCrew struct {
	url, low, drafter    string
	officer, head, clerk *browser
}

func (n *Network) newDeskCrew(ctx context.Context, code string) (*deskCrew, error) {
	c := &deskCrew{low: strings.ToLower(code), drafter: "chuyenvien", officer: newBrowser(), head: newBrowser(), clerk: newBrowser()}
	if code == lamDong || code == hue {
		c.drafter = "hotich"
	}
	for _, a := range n.l.agencies {
		if a.id() == code {
			c.url = a.webURL()
		}
	}
	for b, account := range map[*browser]string{c.officer: c.drafter, c.head: "lanhdao", c.clerk: "vanthu"} {
		if err := b.signIn(ctx, c.url+"/documents", "officer", "o-"+c.low+"."+account); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// populateDocuments exchanges a handful of documents through the pages of the desks.
func (n *Network) populateDocuments(ctx context.Context) (sent int, err error) {
	crews := map[string]*deskCrew{}
	for _, code := range []string{lamDong, hue, civil, population} {
		if crews[code], err = n.newDeskCrew(ctx, code); err != nil {
			return 0, err
		}
	}
	for _, l := range letters() {
		if err := l.write(ctx, crews); err != nil {
			return sent, fmt.Errorf("document %q until %s: %w", l.subject, l.until, err)
		}
		sent++
	}
	return sent, nil
}

func (l letter) write(ctx context.Context, crews map[string]*deskCrew) error {
	c, s := crews[l.from], &documentStory{}
	toPlaces := "Như trên\nLưu: VT"
	if l.typ != "CV" {
		toPlaces = "Các cơ quan liên quan\nLưu: VT"
	}
	form := url.Values{
		"type": {l.typ}, "unit": {l.unit}, "subject": {l.subject}, "body": {l.body}, "signer": {c.low + ".lanhdao"}, "urgency": {fmt.Sprint(int(l.urgency))},
		"receivers": {strings.Join(l.to, " ")}, "toPlaces": {toPlaces},
	}
	if l.typ == "CV" {
		form.Set("addressees", "Các cơ quan, đơn vị theo danh sách nhận")
	}
	if err := s.post(ctx, c.officer, c.url+"/documents/out/new", form); err != nil {
		return err
	}
	id, _, found, err := s.row(ctx, c.officer, c.url+"/documents/out", l.subject)
	if err != nil || found != 1 {
		return fmt.Errorf("the draft is there %d times: %w", found, err)
	}
	states := []string{"drafting", "approved", "signed", "sent"}
	for i, step := range []struct {
		act  string
		by   *browser
		form url.Values
	}{{"submit", c.officer, nil}, {"sign", c.head, nil}, {"issue", c.clerk, url.Values{"when": {"now"}}}} {
		if l.until == states[i] {
			return nil
		}
		if err := s.post(ctx, step.by, c.url+"/documents/out/"+id+"/do/"+step.act, step.form); err != nil {
			return fmt.Errorf("%s: %w", step.act, err)
		}
	}
	if l.until == "sent" {
		return nil
	}
	return l.handle(ctx, s, crews[l.to[0]])
}

// handle takes the document at its first receiver as far as it shall go.
func (l letter) handle(ctx context.Context, s *documentStory, c *deskCrew) error {
	var id string
	err := until(ctx, "the arrival of "+l.subject, func() (bool, error) {
		var found int
		var err error
		id, _, found, err = s.row(ctx, c.clerk, c.url+"/documents/in", l.subject)
		return found == 1, err
	})
	if err != nil {
		return err
	}
	at := c.url + "/documents/in/" + id
	if err := acceptDocument(ctx, c.clerk, at); err != nil {
		return err
	}
	states := []string{"accepted", "assigned", "working", "done"}
	for i, step := range []struct {
		act  string
		by   *browser
		form url.Values
	}{
		{"assign", c.head, url.Values{"lead": {c.low + "." + c.drafter}, "instruction": {"Nghiên cứu, tham mưu; báo cáo kết quả."}}},
		{"start", c.officer, nil},
		{"finish", c.officer, url.Values{"result": {"Đã trả lời qua điện thoại, lưu hồ sơ."}}},
	} {
		if i >= slices.Index(states, l.until) {
			return nil
		}
		if err := s.post(ctx, step.by, at+"/do/"+step.act, step.form); err != nil {
			return fmt.Errorf("%s: %w", step.act, err)
		}
	}
	return nil
}
