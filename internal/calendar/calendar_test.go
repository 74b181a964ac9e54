package calendar

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/i18n"
	"truc/lang"
)

func at(t testing.TB, s string) time.Time {
	t.Helper()
	out, err := time.ParseInLocation("2006-01-02 15:04", s, i18n.Zone)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func stamp(t time.Time) string { return t.In(i18n.Zone).Format("2006-01-02 15:04") }

func swapped(t testing.TB) *Calendar {
	t.Helper()
	c, err := Vietnam().WithSwap("2026-08-31", "2026-08-22", "decision of an administrator")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The golden vectors of the specification, section 4.
func TestDueGolden(t *testing.T) {
	vn, swap := Vietnam(), swapped(t)
	days := []struct {
		cal                         *Calendar
		start                       string
		n                           int
		clock, dayExclusive, calDay string
	}{
		{vn, "2024-04-26 15:00", 1, "2024-05-02 15:00", "2024-05-02 17:30", "2024-05-02 17:30"},
		{vn, "2024-04-26 15:00", 3, "2024-05-04 15:00", "2024-05-04 17:30", "2024-05-02 17:30"},
		{vn, "2024-05-03 14:00", 1, "2024-05-04 14:00", "2024-05-04 17:30", "2024-05-04 17:30"},
		{vn, "2025-01-24 17:45", 1, "2025-02-03 17:30", "2025-02-03 17:30", "2025-02-03 17:30"},
		{vn, "2026-02-12 09:00", 5, "2026-02-26 09:00", "2026-02-26 17:30", "2026-02-23 17:30"},
		{vn, "2026-04-24 16:00", 2, "2026-04-29 16:00", "2026-04-29 17:30", "2026-04-28 17:30"},
		{vn, "2026-08-28 10:00", 3, "2026-09-04 10:00", "2026-09-04 17:30", "2026-08-31 17:30"},
		{swap, "2026-08-28 10:00", 3, "2026-09-07 10:00", "2026-09-07 17:30", "2026-09-03 17:30"},
	}
	for _, d := range days {
		check(t, d.cal, d.start, Rule{Amount: d.n, Unit: WorkingDays, Count: Clock}, nil, d.clock)
		check(t, d.cal, d.start, Rule{Amount: d.n, Unit: WorkingDays, Count: DayExclusive}, nil, d.dayExclusive)
		check(t, d.cal, d.start, Rule{Amount: d.n, Unit: CalendarDays}, nil, d.calDay)
	}
	cutoff := Rule{Amount: 1, Unit: WorkingDays, Count: DayExclusive, Cutoff: "15:00"}
	hours := func(n int) Rule { return Rule{Amount: n, Unit: WorkingHours} }
	months := func(n int) Rule { return Rule{Amount: n, Unit: Months} }
	for _, v := range []struct {
		start string
		rule  Rule
		want  string
	}{
		{"2026-06-05 14:30", cutoff, "2026-06-08 17:30"},
		{"2026-06-05 15:00", cutoff, "2026-06-08 17:30"},
		{"2026-06-05 15:30", cutoff, "2026-06-09 17:30"},
		{"2026-06-06 09:00", cutoff, "2026-06-09 17:30"}, // a Saturday is not earlier than Friday evening
		{"2026-06-05 12:00", hours(4), "2026-06-05 17:30"},
		{"2026-06-05 16:30", hours(4), "2026-06-08 10:30"},
		{"2026-06-05 17:30", hours(2), "2026-06-08 09:30"},
		{"2026-06-05 07:30", hours(4), "2026-06-05 11:30"},
		{"2026-06-06 09:00", hours(8), "2026-06-08 17:30"},
		{"2026-01-31 09:00", months(1), "2026-03-02 17:30"},
		{"2024-01-31 09:00", months(1), "2024-02-29 17:30"},
		{"2026-08-31 09:00", months(6), "2027-03-01 17:30"},
		{"2026-06-05 09:00", months(2), "2026-08-05 17:30"},
		{"2025-12-02 09:00", months(2), "2026-02-02 17:30"},
	} {
		check(t, vn, v.start, v.rule, nil, v.want)
	}
}

func TestDuePauses(t *testing.T) {
	vn := Vietnam()
	clock := Rule{Amount: 8, Unit: WorkingHours}
	three := Rule{Amount: 3, Unit: WorkingDays, Count: DayExclusive}
	ten := Rule{Amount: 10, Unit: CalendarDays}
	for _, v := range []struct {
		rule   Rule
		pauses []string // from, to, from, to
		want   string
	}{
		{clock, nil, "2026-06-08 09:00"},
		{clock, []string{"2026-06-05 10:00", "2026-06-05 11:00"}, "2026-06-08 10:00"},
		{clock, []string{"2026-06-05 16:30", "2026-06-09 08:30"}, "2026-06-09 11:00"},
		{clock, []string{"2026-06-05 18:00", "2026-06-05 22:00"}, "2026-06-08 09:00"},
		{three, nil, "2026-06-10 17:30"},
		{three, []string{"2026-06-08 10:00", "2026-06-10 09:00"}, "2026-06-12 17:30"},
		{three, []string{"2026-06-08 10:00", "2026-06-08 16:00"}, "2026-06-10 17:30"},
		{ten, nil, "2026-06-15 17:30"},
		{ten, []string{"2026-06-08 10:00", "2026-06-10 09:00"}, "2026-06-17 17:30"},
		// Overlapping pauses count once, and a pause that begins after the due instant forgives nothing.
		{clock, []string{"2026-06-05 10:00", "2026-06-05 11:00", "2026-06-05 10:30", "2026-06-05 11:30"}, "2026-06-08 10:30"},
		{clock, []string{"2026-06-08 09:00", "2026-06-09 09:00"}, "2026-06-08 09:00"},
		{three, []string{"2026-06-11 09:00", "2026-06-15 09:00"}, "2026-06-10 17:30"},
	} {
		var pauses []Pause
		for i := 0; i < len(v.pauses); i += 2 {
			pauses = append(pauses, Pause{From: at(t, v.pauses[i]), To: at(t, v.pauses[i+1])})
		}
		check(t, vn, "2026-06-05 09:00", v.rule, pauses, v.want)
	}
	open, err := vn.Due(at(t, "2026-06-05 09:00"), three, []Pause{{From: at(t, "2026-06-08 10:00")}}, nil)
	if err != nil || !open.Waiting || stamp(open.Due) != "2026-06-10 17:30" {
		t.Errorf("open pause = %v %v %v", stamp(open.Due), open.Waiting, err)
	}
}

func TestDueExtensions(t *testing.T) {
	vn := Vietnam()
	for _, v := range []struct {
		rule Rule
		ext  []Duration
		want string
	}{
		{Rule{Amount: 3, Unit: WorkingDays}, []Duration{{Amount: 2, Unit: WorkingDays}}, "2026-06-12 17:30"},
		{Rule{Amount: 3, Unit: WorkingDays}, []Duration{{Amount: 3, Unit: CalendarDays}}, "2026-06-15 17:30"},
		{Rule{Amount: 8, Unit: WorkingHours}, []Duration{{Amount: 1, Unit: WorkingDays}}, "2026-06-09 09:00"},
		{Rule{Amount: 3, Unit: WorkingDays}, []Duration{{Amount: 1, Unit: Months}, {Amount: 4, Unit: WorkingHours}}, "2026-07-13 11:30"},
	} {
		got, err := vn.Due(at(t, "2026-06-05 09:00"), v.rule, nil, v.ext)
		if err != nil || stamp(got.Due) != v.want {
			t.Errorf("Due(%+v, %+v) = %s, %v; want %s", v.rule, v.ext, stamp(got.Due), err, v.want)
		}
	}
}

func check(t *testing.T, c *Calendar, start string, r Rule, pauses []Pause, want string) {
	t.Helper()
	got, err := c.Due(at(t, start), r, pauses, nil)
	if err != nil {
		t.Errorf("Due(%s, %+v): %v", start, r, err)
		return
	}
	if stamp(got.Due) != want {
		t.Errorf("Due(%s, %+v) = %s; want %s", start, r, stamp(got.Due), want)
	}
}

func TestValidate(t *testing.T) {
	for _, v := range []struct {
		rule Rule
		ok   bool
	}{
		{Rule{Amount: 1, Unit: WorkingDays}, true},
		{Rule{Unit: None}, true},
		{Rule{Amount: 1, Unit: WorkingDays, Count: DayExclusive, Cutoff: "15:00"}, true},
		{Rule{Amount: 1, Unit: WorkingDays, Count: Clock, Cutoff: "15:00"}, false},
		{Rule{Amount: 1, Unit: WorkingHours, Cutoff: "15:00"}, false},
		{Rule{Amount: 1, Unit: WorkingHours, Count: DayExclusive}, false},
		{Rule{Amount: 1, Unit: Months, Count: Clock}, false},
		{Rule{Amount: 0, Unit: WorkingDays}, false},
		{Rule{Amount: -1, Unit: WorkingDays}, false},
		{Rule{Amount: 1, Unit: "weeks"}, false},
		{Rule{Amount: 1, Unit: WorkingDays, Cutoff: "25:00"}, false},
		{Rule{Amount: 1 << 40, Unit: CalendarDays}, false},
	} {
		if err := v.rule.Validate(); (err == nil) != v.ok {
			t.Errorf("Validate(%+v) = %v; want ok %v", v.rule, err, v.ok)
		}
	}
	empty, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []Rule{{Amount: 1, Unit: WorkingHours}, {Amount: 1, Unit: WorkingDays}, {Amount: 1, Unit: Months}} {
		if _, err := empty.Due(at(t, "2026-06-05 09:00"), r, nil, nil); err == nil {
			t.Errorf("Due on a calendar without working days: want an error for %+v", r)
		}
	}
}

func TestVietnam(t *testing.T) {
	c, err := vietnam()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Exceptions() {
		if e.Reason["vi"] == "" || e.Reason["en"] == "" || e.Source == "" || e.Kind == "" {
			t.Errorf("exception %+v lacks a reason, a source or a kind", e)
		}
	}
	if got := len(c.Unverified()); got != 4 {
		t.Errorf("Unverified: %d entries; want 4", got)
	}
	for _, u := range c.Unverified() {
		if !c.IsWorking(at(t, u.Date+" 09:00")) {
			t.Errorf("%s is not verified and must not be applied", u.Date)
		}
	}
}

func TestWorkingTime(t *testing.T) {
	c := Vietnam()
	for s, want := range map[string]bool{
		"2026-06-05 07:29": false, "2026-06-05 07:30": true, "2026-06-05 11:30": false, "2026-06-05 17:29": true,
		"2026-06-06 09:00": false, "2024-05-04 09:00": true, "2024-04-29 09:00": false,
	} {
		if got := c.IsWorking(at(t, s)); got != want {
			t.Errorf("IsWorking(%s) = %v; want %v", s, got, want)
		}
	}
	next, err := c.NextWorking(at(t, "2026-06-05 17:30"))
	if err != nil || stamp(next) != "2026-06-08 07:30" {
		t.Errorf("NextWorking = %s, %v", stamp(next), err)
	}
	morning, err := c.WithHours(map[time.Weekday][]Interval{time.Saturday: {{From: 450, To: 690}}})
	if err != nil {
		t.Fatal(err)
	}
	if due, err := morning.AddWorkingDays(at(t, "2026-06-05 17:30"), 1); err != nil || stamp(due) != "2026-06-06 11:30" {
		t.Errorf("Saturday office: %s, %v", stamp(due), err)
	}
	warn, err := c.Warnings(at(t, "2026-06-05 09:00"), at(t, "2026-06-08 09:00"), []string{"50%", "-4h", "-1d"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"2026-06-05 15:00", "2026-06-05 15:00", "2026-06-05 09:00"}
	for i := range warn {
		if stamp(warn[i]) != want[i] {
			t.Errorf("Warnings[%d] = %s; want %s", i, stamp(warn[i]), want[i])
		}
	}
	for _, bad := range []string{"", "%", "0%", "101%", "4h", "-h", "-4x", "-0h"} {
		if _, err := c.Warnings(warn[0], warn[1], []string{bad}); err == nil {
			t.Errorf("Warnings(%q): want an error", bad)
		}
	}
}

func TestRemainingText(t *testing.T) {
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	c := Vietnam()
	due := at(t, "2026-06-10 17:30")
	for _, v := range []struct{ now, vi, en string }{
		{"2026-06-08 17:30", "còn 2 ngày làm việc", "2 days of working time left"},
		{"2026-06-09 14:30", "còn 1 ngày 3 giờ làm việc", "1 day 3 hours of working time left"},
		{"2026-06-10 16:45", "còn 45 phút làm việc", "45 minutes of working time left"},
		{"2026-06-10 17:30", "đến hạn", "due now"},
		{"2026-06-10 20:00", "vừa quá hạn", "just overdue"},
		{"2026-06-11 10:30", "quá hạn 3 giờ làm việc", "overdue by 3 hours of working time"},
	} {
		l := c.Remaining(at(t, v.now), due)
		if got := l.Text(cat, "vi"); got != v.vi {
			t.Errorf("Remaining(%s) = %q; want %q", v.now, got, v.vi)
		}
		if got := l.Text(cat, "en"); got != v.en {
			t.Errorf("Remaining(%s) = %q; want %q", v.now, got, v.en)
		}
	}
}

func TestExplanation(t *testing.T) {
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	res, err := swapped(t).Due(at(t, "2026-08-28 15:30"), Rule{Amount: 1, Unit: WorkingDays, Cutoff: "15:00"},
		[]Pause{{From: at(t, "2026-09-03 09:00"), To: at(t, "2026-09-04 09:00"), Reason: i18n.Text{"vi": "chờ bổ sung"}}},
		[]Duration{{Amount: 1, Unit: WorkingDays}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range res.Explanation {
		got = append(got, s.In(cat, "vi"))
		if en := s.In(cat, "en"); strings.ContainsAny(en, "[{") {
			t.Errorf("English step %q has a gap", en)
		}
	}
	want := []string{
		"Tiếp nhận lúc 15:30 28/08/2026.",
		"thứ Bảy, 29/08/2026: ngày nghỉ hằng tuần.",
		"Chủ nhật, 30/08/2026: ngày nghỉ hằng tuần.",
		"thứ Hai, 31/08/2026: nghỉ hoán đổi, không làm việc (Ngày nghỉ (thay cho ngày 22/08/2026)).",
		"thứ Ba, 01/09/2026: nghỉ lễ, không làm việc (Quốc khánh).",
		"thứ Tư, 02/09/2026: nghỉ lễ, không làm việc (Quốc khánh).",
		"Nhận sau 15:00 hoặc vào ngày nghỉ: tính như nhận thứ Năm, 03/09/2026.",
		"Tạm dừng từ 09:00 03/09/2026 đến 09:00 04/09/2026 (chờ bổ sung): cộng thêm 1 ngày làm việc.",
		"thứ Bảy, 05/09/2026: ngày nghỉ hằng tuần.",
		"Chủ nhật, 06/09/2026: ngày nghỉ hằng tuần.",
		"Gia hạn thêm 1 ngày làm việc.",
		"Hẹn trả kết quả lúc 17:30 08/09/2026.",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestCompare(t *testing.T) {
	due := at(t, "2026-06-10 11:30")
	for _, v := range []struct {
		end             string
		instant, byDate Punctuality
	}{
		{"2026-06-09 17:00", Early, Early},
		{"2026-06-10 09:00", Early, OnTime},
		{"2026-06-10 15:00", Late, OnTime},
		{"2026-06-11 00:00", Late, Late},
	} {
		if got := ByInstant(at(t, v.end), due); got != v.instant {
			t.Errorf("ByInstant(%s) = %s; want %s", v.end, got, v.instant)
		}
		if got := ByDate(at(t, v.end).UTC(), due.UTC()); got != v.byDate {
			t.Errorf("ByDate(%s) = %s; want %s", v.end, got, v.byDate)
		}
	}
	if ByDate(time.Time{}, due) != Unknown || ByInstant(due, time.Time{}) != Unknown {
		t.Error("a missing date must be unknown")
	}
}

// Every key that code or steps can name has a text in both languages.
func TestKeys(t *testing.T) {
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kindKeys {
		for _, l := range i18n.Langs {
			if !cat.Has(l, k) {
				t.Errorf("%s lacks %s", l, k)
			}
		}
	}
	for u := range limits {
		if k := "calendar.step.extend." + string(u); !cat.Has("vi", k) || !cat.Has("en", k) {
			t.Errorf("no text for %s", k)
		}
	}
}
