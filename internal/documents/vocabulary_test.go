package documents

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"truc/internal/calendar"
	"truc/internal/i18n"
)

// TestTypesComposeAndParse composes the notation of each of the 29 types and reads it back; official letters carry no
// letters of a type.
func TestTypesComposeAndParse(t *testing.T) {
	all := Types()
	if len(all) != 29 {
		t.Errorf("there are %d types; the decree has 29", len(all))
	}
	seen := map[string]bool{}
	for _, typ := range all {
		if seen[typ.Code] || seen[typ.Name] {
			t.Errorf("%s stands twice", typ.Code)
		}
		seen[typ.Code], seen[typ.Name] = true, true
		notation, err := ComposeNotation(typ.Code, "BNV", "VP")
		want := typ.Letters + "-BNV"
		if typ.Letters == "" {
			want = "BNV-VP"
		}
		if err != nil || notation != want {
			t.Errorf("ComposeNotation(%s) = %q, %v; want %q", typ.Code, notation, err, want)
		}
		p, err := ParseCode("08/" + notation)
		if err != nil || p.N != 8 || p.Number != "08" || p.Notation != notation || p.Agency != "BNV" {
			t.Errorf("ParseCode(08/%s) = %+v, %v", notation, p, err)
		}
		wantType := typ.Code
		if typ.Letters == "" {
			wantType = OfficialLetter
		}
		if p.Type.Code != wantType {
			t.Errorf("ParseCode(08/%s) is of type %s; want %s", notation, p.Type.Code, wantType)
		}
	}
	for _, s := range []string{"15/SY-BNV", "3/TrS-UBND", "1/SL-UBND"} {
		if p, err := ParseCode(s); err != nil || p.Type.Letters == "" {
			t.Errorf("ParseCode(%s) = %+v, %v", s, p, err)
		}
	}
	for _, s := range []string{"", "15", "/QĐ-BNV", "15/", "15/QĐ BNV", "15/-BNV", "15/QĐ--BNV", "15/QĐ/BNV", strings.Repeat("1", 12) + "/X", "1/" + strings.Repeat("X", 31)} {
		if p, err := ParseCode(s); err == nil {
			t.Errorf("ParseCode(%q) = %+v; want an error", s, p)
		}
	}
	for n, want := range map[int64]string{1: "01", 8: "08", 9: "09", 10: "10", 1000: "1000"} {
		if got := FormatNumber(n); got != want {
			t.Errorf("FormatNumber(%d) = %s; want %s", n, got, want)
		}
	}
}

// FuzzParseCode holds that what is read is printed the same.
func FuzzParseCode(f *testing.F) {
	for _, s := range []string{"15/QĐ-BNV", "05/BNV-VP", "12/UBND-VX", "1a/X", "/", "08/ SM-VP"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseCode(s)
		if err != nil {
			return
		}
		again, err := ParseCode(p.String())
		if err != nil || again != p {
			t.Errorf("%q was read as %+v and then as %+v, %v", s, p, again, err)
		}
	})
}

// TestClocks holds the limits of the law: sent by the next working morning, across a weekend and a holiday; urgent at
// once; received within the day (acceptance 20).
func TestClocks(t *testing.T) {
	cal := calendar.Vietnam()
	d := &Desk{Calendar: func() *calendar.Calendar { return cal }}
	at := func(s string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04", s, i18n.Zone)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	holiday, err := cal.WithHoliday("2026-03-09", i18n.Text{"vi": "Ngày nghỉ thử", "en": "Test holiday"}, "test")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		cal     *calendar.Calendar
		clock   func(time.Time, Urgency) (time.Time, error)
		from    string
		urgency Urgency
		want    string
	}{
		{"send: Friday afternoon", cal, d.sendBy, "2026-03-06 16:00", Normal, "2026-03-09 11:30"},
		{"send: Monday is a holiday", holiday, d.sendBy, "2026-03-06 16:00", Normal, "2026-03-10 11:30"},
		{"send: Tuesday morning", cal, d.sendBy, "2026-03-03 08:00", Normal, "2026-03-04 11:30"},
		{"send: Saturday", cal, d.sendBy, "2026-03-07 10:00", Normal, "2026-03-09 11:30"},
		{"send: urgent", cal, d.sendBy, "2026-03-06 16:00", Urgent, "2026-03-06 16:00"},
		{"send: express", cal, d.sendBy, "2026-03-06 16:00", Express, "2026-03-06 16:00"},
		{"issue: the next working day", cal, d.nextDay, "2026-03-06 16:00", Normal, "2026-03-09 17:30"},
		{"issue: urgent", cal, d.nextDay, "2026-03-06 16:00", VeryUrgent, "2026-03-06 16:00"},
		{"confirm: in the morning", cal, ignoring(d.withinDay), "2026-03-05 09:00", Normal, "2026-03-06 00:00"},
		{"confirm: at lunch", cal, ignoring(d.withinDay), "2026-03-05 12:00", Normal, "2026-03-06 00:00"},
		{"confirm: at night", cal, ignoring(d.withinDay), "2026-03-05 22:00", Normal, "2026-03-07 00:00"},
		{"confirm: Friday evening", cal, ignoring(d.withinDay), "2026-03-06 18:00", Normal, "2026-03-10 00:00"},
	} {
		d.Calendar = func() *calendar.Calendar { return tt.cal }
		got, err := tt.clock(at(tt.from), tt.urgency)
		if err != nil || !got.Equal(at(tt.want)) {
			t.Errorf("%s: %v, %v; want %s", tt.name, got.In(i18n.Zone), err, tt.want)
		}
	}
}

func ignoring(f func(time.Time) (time.Time, error)) func(time.Time, Urgency) (time.Time, error) {
	return func(t time.Time, _ Urgency) (time.Time, error) { return f(t) }
}

// TestExpiryIsAnnounced wants a certificate announced 60, 30, 14, 7 and 1 day before its end, and when it has ended.
func TestExpiryIsAnnounced(t *testing.T) {
	end := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	var steps []int
	last := -1
	for day := 100; day >= -1; day-- {
		days, announce := announceExpiry(end, end.AddDate(0, 0, -day))
		if announce && days != last {
			if days != max(day, 0) {
				t.Errorf("%d days before the end it says %d", day, days)
			}
			steps, last = append(steps, days), days
		}
	}
	if !slices.Equal(steps, []int{60, 30, 14, 7, 1, 0}) {
		t.Errorf("announced at %v days", steps)
	}
}

// TestSecretMarks knows the marks of state secrets and not the words that look like them.
func TestSecretMarks(t *testing.T) {
	for _, s := range []string{"Mật", "MẬT", "tối mật", "Tuyệt  mật", "Độ mật: Mật", "[Tối mật]"} {
		if !marked(DefaultSecretMarks(), cleanLine(s)) {
			t.Errorf("%q is not taken for a mark", s)
		}
	}
	for _, s := range []string{"", "mặt", "Mát", "Bảo mật thông tin", "V/v bảo vệ bí mật nhà nước", "mat"} {
		if marked(DefaultSecretMarks(), s) {
			t.Errorf("%q is taken for a mark", s)
		}
	}
}

func status(code StatusCode, minute, heard int) HeardStatus {
	base := time.Date(2026, 3, 5, 2, 0, 0, 0, time.UTC)
	return HeardStatus{Code: code, From: "G98", At: base.Add(time.Duration(minute) * time.Minute), HeardAt: base.Add(time.Duration(heard) * time.Minute), Text: "lý do"}
}

// TestStatusesFold folds statuses in the order of their time, whatever the order of their arrival, and flags those that
// cannot be.
func TestStatusesFold(t *testing.T) {
	for _, tt := range []struct {
		name       string
		heard      []HeardStatus
		want       StatusCode
		impossible int
	}{
		{"nothing", nil, "", 0},
		{"in order", []HeardStatus{status("01", 1, 1), status("03", 2, 2), status("04", 3, 3), status("05", 4, 4), status("06", 5, 5)}, StatusDone, 0},
		{"backwards", []HeardStatus{status("06", 5, 1), status("05", 4, 2), status("04", 3, 3), status("03", 2, 4), status("01", 1, 5)}, StatusDone, 0},
		{"04 and 05 skipped", []HeardStatus{status("01", 1, 1), status("03", 2, 2), status("06", 3, 3)}, StatusDone, 0},
		{"04 and 05 repeated", []HeardStatus{status("01", 1, 1), status("03", 2, 2), status("04", 3, 3), status("05", 4, 4), status("04", 5, 5), status("05", 6, 6)}, StatusWorking, 0},
		{"refused", []HeardStatus{status("01", 1, 1), status("02", 2, 2)}, StatusRefused, 0},
		{"accepted after it was refused", []HeardStatus{status("01", 1, 1), status("02", 2, 2), status("03", 3, 3)}, StatusRefused, 1},
		{"refused after it was accepted", []HeardStatus{status("01", 1, 1), status("03", 2, 2), status("02", 3, 3)}, StatusAccepted, 1},
		{"working after it was done", []HeardStatus{status("03", 1, 1), status("06", 2, 2), status("05", 3, 3)}, StatusDone, 1},
		{"assigned without being accepted", []HeardStatus{status("01", 1, 1), status("04", 2, 2)}, StatusArrived, 1},
		{"agreed to what nobody asked", []HeardStatus{status("01", 1, 1), status("15", 2, 2)}, StatusArrived, 1},
		{"a recall comes from the sender only", []HeardStatus{status("01", 1, 1), status("13", 2, 2)}, StatusArrived, 1},
		{"unknown code", []HeardStatus{status("77", 1, 1), status("01", 2, 2)}, StatusArrived, 1},
	} {
		var track Track
		track.foldStatuses(tt.heard, nil)
		if track.Status != tt.want || len(track.Impossible) != tt.impossible || len(track.Heard) != len(tt.heard) {
			t.Errorf("%s: %q, %d impossible, %d kept; want %q, %d, %d", tt.name, track.Status, len(track.Impossible), len(track.Heard), tt.want, tt.impossible, len(tt.heard))
		}
	}
}

// TestStatusesFoldInAnyOrder draws statuses with different times: the order of their arrival does not matter, and none is
// lost.
func TestStatusesFoldInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		codes := rapid.SliceOfN(rapid.SampledFrom(StatusCodes()), 0, 12).Draw(t, "codes")
		var list []HeardStatus
		for i, c := range codes {
			list = append(list, status(c, i, 0))
		}
		recall := []time.Time{list0(list)}
		var want Track
		want.foldStatuses(list, recall)
		var got Track
		got.foldStatuses(rapid.Permutation(list).Draw(t, "arrival"), recall)
		if got.Status != want.Status || len(got.Impossible) != len(want.Impossible) || len(got.Heard) != len(list) {
			t.Fatalf("%v: %q with %d impossible; want %q with %d", codes, got.Status, len(got.Impossible), want.Status, len(want.Impossible))
		}
	})
}

func list0(list []HeardStatus) time.Time {
	if len(list) == 0 {
		return time.Time{}
	}
	return list[0].At
}

// TestChainShowsChanges changes, drops and swaps events: each shows.
func TestChainShowsChanges(t *testing.T) {
	first := Event{Type: EvDrafted, At: time.Unix(1, 0).UTC(), Actor: "soan", Data: EventData{Office: "H36", Form: &DraftForm{Type: "QĐ"}}}
	_, sealed, err := extend(Stored{Row: Row{ID: "a"}}, []Event{first, {Type: EvDiscarded, Actor: "soan"}, {Type: EvScheduled, Actor: "vanthu"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifyChain(sealed); err != nil {
		t.Fatal(err)
	}
	change := func(name string, f func(e []Event) []Event) {
		if err := VerifyChain(f(slices.Clone(sealed))); err == nil {
			t.Errorf("%s does not show", name)
		}
	}
	change("another actor", func(e []Event) []Event {
		e[1].Raw = []byte(strings.Replace(string(e[1].Raw), "soan", "khac", 1))
		return e
	})
	change("an event left out", func(e []Event) []Event { return append(e[:1], e[2:]...) })
	change("two events swapped", func(e []Event) []Event { e[1], e[2] = e[2], e[1]; return e })
	change("the first left out", func(e []Event) []Event { return e[1:] })
}

// FuzzSafeName holds that names of others' files carry no path and fit.
func FuzzSafeName(f *testing.F) {
	for _, s := range []string{"../../etc/passwd", "a\\b.pdf", "", "..", "văn bản.pdf", strings.Repeat("ố", 300), "a\x00b\n.txt"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := safeName(s)
		if got == "" || len(got) > 255 || strings.ContainsAny(got, "/\\:\x00\n") || got == ".." || got == "." {
			t.Errorf("safeName(%q) = %q", s, got)
		}
	})
}
