package documents

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// Table is a register ready to print, in Vietnamese as the law wants it.
type Table struct {
	// Title is "SỔ ĐĂNG KÝ VĂN BẢN ĐI"; Superior, Agency and Period stand on the cover.
	Title, Superior, Agency string
	Year                    int
	From, To                time.Time
	Columns                 []string
	Rows                    [][]string
}

// Registers of Decree 30/2020/NĐ-CP, appendix IV.

func outgoingColumns() []string {
	return []string{
		"Số, ký hiệu văn bản", "Ngày tháng văn bản", "Tên loại và trích yếu nội dung văn bản", "Người ký", "Nơi nhận văn bản",
		"Đơn vị, người nhận bản lưu", "Số lượng bản", "Ngày chuyển", "Ký nhận", "Ghi chú",
	}
}

func incomingColumns() []string {
	return []string{
		"Ngày đến", "Số đến", "Tác giả", "Số, ký hiệu văn bản", "Ngày tháng văn bản", "Tên loại và trích yếu nội dung",
		"Đơn vị hoặc người nhận", "Ngày chuyển", "Ký nhận", "Ghi chú",
	}
}

func followUpColumns() []string {
	return []string{
		"Số đến", "Tên loại, số và ký hiệu, ngày tháng và cơ quan ban hành văn bản", "Đơn vị hoặc người nhận", "Thời hạn giải quyết",
		"Tiến độ giải quyết", "Số, ký hiệu văn bản trả lời", "Ghi chú",
	}
}

// maxRegister bounds one print: a busy agency's year.
const maxRegister = 100_000

// register begins a table for an officer who may read the office's registers.
func (d *Desk) register(by Actor, office, title string, columns []string, from, to time.Time) (Table, Office, error) {
	o, err := d.need(by, RoleClerk, RoleHead)
	if err != nil {
		return Table{}, o, err
	}
	if office != "" && office != o.Code {
		return Table{}, o, errs.E(errs.Denied, "documents.no_office", nil, "agency", office)
	}
	if !from.Before(to) {
		return Table{}, o, errs.E(errs.Invalid, "documents.period_invalid", nil)
	}
	return Table{Title: title, Superior: o.Superior, Agency: o.Name, Year: yearOf(from), From: from, To: to, Columns: columns}, o, nil
}

// RegisterOutgoing is the register of outgoing documents whose numbers were taken in [from, to), voided ones too.
func (d *Desk) RegisterOutgoing(ctx context.Context, by Actor, office string, from, to time.Time) (Table, error) {
	t, o, err := d.register(by, office, "SỔ ĐĂNG KÝ VĂN BẢN ĐI", outgoingColumns(), from, to)
	if err != nil {
		return t, err
	}
	numbers, err := d.numbers(ctx, o, Out, from, to)
	if err != nil {
		return t, err
	}
	for _, n := range numbers {
		s, err := d.Store.Find(ctx, n.Document)
		if err != nil {
			return t, err
		}
		out := foldOutgoing(n.Document, s.Events)
		code := Code{Number: FormatNumber(n.N), Notation: n.Notation}
		if !n.VoidedAt.IsZero() {
			t.Rows = append(t.Rows, []string{code.String(), i18n.Date(n.At), "", "", "", "", "", "", "", "Hủy số: " + n.Reason})
			continue
		}
		t.Rows = append(t.Rows, outgoingRow(code, out))
	}
	return t, nil
}

func (d *Desk) numbers(ctx context.Context, o Office, dir Direction, from, to time.Time) ([]Number, error) {
	numbers, err := d.Store.Numbers(ctx, o.Code, dir, from, to)
	if err == nil && len(numbers) > maxRegister {
		return nil, errs.E(errs.Invalid, "documents.period_too_long", nil, "most", maxRegister)
	}
	return numbers, err
}

func outgoingRow(code Code, out *Outgoing) []string {
	typ, _ := TypeOf(out.Form.Type)
	var to []string
	for _, p := range out.Receivers() {
		name := p.Name
		if name == "" {
			name = p.Code
		}
		to = append(to, name)
	}
	for _, line := range out.Form.ToPlaces {
		if !strings.HasPrefix(line, "Lưu") && line != "Như trên" && !slices.Contains(to, line) {
			to = append(to, line)
		}
	}
	kept := "VT"
	for _, line := range out.Form.ToPlaces {
		if after, ok := strings.CutPrefix(line, "Lưu:"); ok {
			kept = strings.TrimSpace(strings.TrimSuffix(after, "."))
		}
	}
	sent := ""
	if !out.SentAt.IsZero() {
		sent = i18n.Date(out.SentAt)
	}
	confirmed, tracks := 0, out.Tracks()
	for i := range tracks {
		if tracks[i].Status >= StatusAccepted {
			confirmed++
		}
	}
	receipt := ""
	if len(tracks) > 0 {
		receipt = fmt.Sprintf("%d/%d nơi đã tiếp nhận", confirmed, len(tracks))
	}
	return []string{
		code.String(), vietnameseDate(out.Date), typ.Name + ": " + out.Form.Subject, out.Form.SignerName, strings.Join(to, "; "),
		kept, strconv.Itoa(max(out.Form.Copies, 1)), sent, receipt, strings.Join(outgoingNotes(out), "; "),
	}
}

func outgoingNotes(out *Outgoing) []string {
	var notes []string
	switch out.State {
	case Numbered:
		notes = append(notes, "Đang ký")
	case Signed:
		notes = append(notes, "Chờ ký số cơ quan")
	case Issued:
		notes = append(notes, "Chưa gửi")
	default:
	}
	for _, l := range out.Amended {
		notes = append(notes, amendWord(l.Kind)+" bởi "+l.Code)
	}
	if out.Kind != KindNew {
		for _, l := range out.Links {
			notes = append(notes, amendWord(out.Kind)+" "+l.Code)
		}
	}
	return notes
}

func amendWord(k Kind) string {
	switch k {
	case KindRevocation:
		return "Thu hồi"
	case KindUpdate:
		return "Cập nhật"
	case KindReplacement:
		return "Thay thế"
	default:
		return "Trả lời"
	}
}

// RegisterIncoming is the register of arrivals that got their number in [from, to).
func (d *Desk) RegisterIncoming(ctx context.Context, by Actor, office string, from, to time.Time) (Table, error) {
	t, o, err := d.register(by, office, "SỔ ĐĂNG KÝ VĂN BẢN ĐẾN", incomingColumns(), from, to)
	if err != nil {
		return t, err
	}
	return t, d.arrivals(ctx, o, from, to, func(in *Incoming) error {
		a := in.Arrival
		names, moved := people(in)
		t.Rows = append(t.Rows, []string{
			i18n.Date(in.ArrivedAt), in.Number, a.Sender.Name, a.Code.String(), vietnameseDate(a.Date), a.Type + ": " + a.Subject,
			names, moved, received(in), strings.Join(incomingNotes(in), "; "),
		})
		return nil
	})
}

// RegisterFollowUp is the register that follows how arrivals of [from, to) are handled.
func (d *Desk) RegisterFollowUp(ctx context.Context, by Actor, office string, from, to time.Time) (Table, error) {
	t, o, err := d.register(by, office, "SỔ THEO DÕI GIẢI QUYẾT VĂN BẢN ĐẾN", followUpColumns(), from, to)
	if err != nil {
		return t, err
	}
	return t, d.arrivals(ctx, o, from, to, func(in *Incoming) error {
		a := in.Arrival
		names, _ := people(in)
		due := ""
		if !in.DueDate.IsZero() {
			due = i18n.Date(in.DueDate.Add(-time.Microsecond))
		}
		replies, err := d.replies(ctx, in)
		if err != nil {
			return err
		}
		t.Rows = append(t.Rows, []string{
			in.Number, fmt.Sprintf("%s %s, %s, %s", a.Type, a.Code, vietnameseDate(a.Date), a.Sender.Name), names, due,
			progress(in), replies, strings.Join(incomingNotes(in), "; "),
		})
		return nil
	})
}

// arrivals calls f for each document with a number of arrival, in order.
func (d *Desk) arrivals(ctx context.Context, o Office, from, to time.Time, f func(in *Incoming) error) error {
	numbers, err := d.numbers(ctx, o, In, from, to)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		s, err := d.Store.Find(ctx, n.Document)
		if err != nil {
			return err
		}
		if err := f(foldIncoming(n.Document, s.Events)); err != nil {
			return err
		}
	}
	return nil
}

// people are who handles a document and when it went to them.
func people(in *Incoming) (names, moved string) {
	var list []string
	for _, p := range in.People {
		list = append(list, p.Name)
	}
	for _, e := range in.Events {
		if e.Type == EvAssigned {
			moved = i18n.Date(e.At)
		}
	}
	return strings.Join(list, "; "), moved
}

// received says in place of a signature who took the document over.
func received(in *Incoming) string {
	for _, e := range in.Events {
		if e.Type == EvStarted {
			return e.ActorName
		}
	}
	return ""
}

func progress(in *Incoming) string {
	switch in.State {
	case Done:
		return "Đã hoàn thành " + i18n.Date(in.FinishedAt)
	case Working:
		return "Đang xử lý"
	case Assigned:
		return "Đã phân công"
	case Cancelled:
		return "Đã hủy"
	case Replaced:
		return "Đã được thay thế"
	default:
		return "Đã tiếp nhận"
	}
}

// replies are the codes of the answers that were issued.
func (d *Desk) replies(ctx context.Context, in *Incoming) (string, error) {
	var codes []string
	for _, l := range in.Replies {
		s, err := d.Store.Find(ctx, l.ID)
		if err != nil {
			return "", err
		}
		if out := foldOutgoing(l.ID, s.Events); out.Main != nil {
			codes = append(codes, out.Code.String())
		}
	}
	return strings.Join(codes, "; "), nil
}

func incomingNotes(in *Incoming) []string {
	var notes []string
	if in.Arrival.Channel == "paper" {
		notes = append(notes, "Văn bản giấy")
	}
	for _, r := range in.Recalls {
		word := amendWord(r.Kind)
		if r.Kind == KindNew {
			word = "Bên gửi lấy lại"
		}
		switch {
		case r.Answered.IsZero():
			word += " (chờ trả lời)"
		case r.Agreed:
			word += " (đồng ý)"
		default:
			word += " (từ chối)"
		}
		notes = append(notes, word)
	}
	return notes
}

// Statistics counts documents of a period at an office.
type Statistics struct {
	Office   string
	From, To time.Time
	// Issued, Sent and Revoked are of outgoing documents; Arrived … Late of incoming ones.
	Issued, Sent, Revoked                        int
	Arrived, Accepted, Refused, Done, Open, Late int
	// ByType counts issued and accepted documents by type.
	ByType []TypeCount
}

// TypeCount is how many documents of a type went out and came in.
type TypeCount struct {
	Type, Name string
	Out, In    int
}

// Statistics counts what was issued, and what arrived, in [from, to).
func (d *Desk) Statistics(ctx context.Context, by Actor, from, to time.Time) (Statistics, error) {
	o, err := d.need(by, RoleClerk, RoleHead)
	st := Statistics{Office: o.Code, From: from, To: to}
	if err != nil {
		return st, err
	}
	rows, err := d.Store.Tally(ctx, TallyQuery{Office: o.Code, From: from, To: to, Now: d.now()})
	if err != nil {
		return st, err
	}
	types := map[string]*TypeCount{}
	for _, r := range rows {
		st.add(r)
		c := types[r.Type]
		if c == nil {
			c = &TypeCount{Type: r.Type, Name: r.Type}
			if t, ok := TypeOf(r.Type); ok {
				c.Name = t.Name
			}
			types[r.Type] = c
		}
		if r.Direction == Out {
			c.Out += r.Count
		} else if r.State != Arrived && r.State != Refused {
			c.In += r.Count
		}
	}
	for _, c := range types {
		st.ByType = append(st.ByType, *c)
	}
	slices.SortFunc(st.ByType, func(a, b TypeCount) int { return strings.Compare(a.Name, b.Name) })
	return st, nil
}

func (st *Statistics) add(r TallyRow) {
	n := r.Count
	if r.Direction == Out {
		st.Issued += n
		if r.Sent {
			st.Sent += n
		}
		if r.State == Revoked {
			st.Revoked += n
		}
		return
	}
	st.Arrived += n
	switch r.State {
	case Refused:
		st.Refused += n
	case Arrived:
		st.Open += n
	case Done, Cancelled, Replaced:
		st.Accepted += n
		if r.State == Done {
			st.Done += n
		}
	default:
		st.Accepted += n
		st.Open += n
	}
	if r.Late {
		st.Late += n
	}
}
