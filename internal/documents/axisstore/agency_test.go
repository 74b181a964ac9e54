package axisstore_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/documents/axis"
	"truc/internal/errs"
	"truc/internal/orgcode"
)

// agency returns the open agency of a code.
func (c *center) agency(t *testing.T, code string) axis.Agency {
	t.Helper()
	a, err := c.AgencyAt(t.Context(), code, c.now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestMergedAgency: what is sent to the old code reaches the successor, whoever merged with whom in between, and the sender
// is told; what waited goes along.
func TestMergedAgency(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		other := axis.Party("vxp:huyen.01")
		for code, owner := range map[string]axis.Party{"H97": other, "H96": other} {
			if _, err := c.AdmitAgency(ctx, "quantri", axis.AgencyForm{Code: code, Name: "Tỉnh " + code, Old: "000.00.00." + code, Aliases: []string{code + ".TINH"}, Owner: owner}); err != nil {
				t.Fatal(err)
			}
		}
		before := c.now()
		taken := c.mustSubmit(t, province, letter("01", "H97"))
		if err := c.Report(ctx, other, c.list(t, other)[0].ID, axis.Done, ""); err != nil {
			t.Fatal(err)
		}
		waiting := c.mustSubmit(t, province, letter("02", "H97"))
		c.sleep(24 * time.Hour)
		for _, step := range [][2]string{{"H97", "H96"}, {"H96", "H36"}} {
			if err := c.EndAgency(ctx, "quantri", step[0], "Nghị quyết 202/2025/QH15", []string{step[1]}); err != nil {
				t.Fatal(err)
			}
		}
		for _, code := range []string{"H97", "000.00.00.H97", "H97.TINH", "H96"} {
			a := c.mustSubmit(t, province, letter("to"+code, code))
			row := c.sent(t, province, a.DocID)[0]
			if row.To != "H36" || row.Given != code || row.Party != lamDong || len(a.Warnings) != 1 || a.Warnings[0].Key != "axis.receiver_merged" {
				t.Errorf("%s: %+v, warnings %+v", code, row, a.Warnings)
				continue
			}
			text := catalogue(t).T("vi", a.Warnings[0].Key, a.Warnings[0].Args...)
			for _, want := range []string{code, "H36", "Lâm Đồng", "Nghị quyết 202/2025/QH15"} {
				if !strings.Contains(text, want) {
					t.Errorf("%s: the warning says %q; want %q in it", code, text, want)
				}
			}
		}
		// What waited went to the successor's node, which was told; what was done stays done, and can be read there.
		if list := c.list(t, other); len(list) != 0 {
			t.Errorf("%d copies wait for an agency that ended", len(list))
		}
		row := c.sent(t, province, waiting.DocID)[0]
		if row.Party != lamDong || row.State != axis.Initial || !slices.ContainsFunc(c.pushed, func(p axis.Push) bool { return p.Copy.ID == row.ID && p.Copy.Party == lamDong }) {
			t.Errorf("the copy that waited: %+v", row)
		}
		row = c.sent(t, province, taken.DocID)[0]
		if row.State != axis.Done || row.Party != lamDong || slices.ContainsFunc(c.pushed, func(p axis.Push) bool { return p.Copy.ID == row.ID }) {
			t.Errorf("the copy that was done: %+v", row)
		}
		// Both codes in one message are one receiver.
		a := c.mustSubmit(t, province, letter("both", "H97", "H36", "H96"))
		if rows := c.sent(t, province, a.DocID); len(rows) != 1 || len(a.Warnings) != 4 {
			t.Errorf("%d copies, warnings %+v", len(rows), a.Warnings)
		}
		// A status of the successor finds the document that its predecessor received.
		st := c.mustSubmit(t, lamDong, status("H36", "03", "H99.07,2026/03/05,02/SM-VP", c.now()))
		if row = c.sent(t, province, waiting.DocID)[0]; row.Business != "03" || len(st.Warnings) != 0 {
			t.Errorf("after the status: %+v, %+v", row, st.Warnings)
		}
		if a, err := c.AgencyAt(ctx, "H97", before); err != nil || a.Name != "Tỉnh H97" {
			t.Errorf("AgencyAt(before) = %+v, %v", a, err)
		}
		history, err := c.AgencyHistory(ctx, c.ended(t, "H97").ID)
		if err != nil || len(history) != 2 || history[0].What != "registered" || history[1].What != "merged" || history[1].Act != "Nghị quyết 202/2025/QH15" || history[1].Actor != "quantri" {
			t.Errorf("history = %+v, %v", history, err)
		}
		// The code may be given to somebody new, and then means that one.
		if _, err := c.AdmitAgency(ctx, "quantri", axis.AgencyForm{Code: "H97", Name: "Cơ quan mới", Owner: ministry}); err != nil {
			t.Fatal(err)
		}
		if a := c.mustSubmit(t, province, letter("new", "H97")); len(a.Warnings) != 0 || c.sent(t, province, a.DocID)[0].Party != ministry {
			t.Errorf("the code's new holder: %+v", a)
		}
		if a, err := c.AgencyAt(ctx, "H97", before); err != nil || a.Name != "Tỉnh H97" {
			t.Errorf("AgencyAt(before) once the code has a new holder = %+v, %v", a, err)
		}
		if _, err := c.VerifyJournal(ctx, axis.Mark{}); err != nil {
			t.Error(err)
		}
	})
}

// ended returns the entry of an agency that ended.
func (c *center) ended(t *testing.T, code string) axis.Agency {
	t.Helper()
	list, err := c.Agencies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(a axis.Agency) bool { return a.Code == code && !a.To.IsZero() })
	if i < 0 {
		t.Fatalf("%s has not ended", code)
	}
	return list[i]
}

func TestEndAgencyRefuses(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		for name, tt := range map[string]struct {
			code, act  string
			successors []string
		}{
			"no act":            {"H99.08", "", nil},
			"unknown":           {"H77", "Nghị quyết", nil},
			"unknown successor": {"H99.08", "Nghị quyết", []string{"H77"}},
			"itself":            {"H99.08", "Nghị quyết", []string{"H99.07", "H99.08"}},
		} {
			if err := c.EndAgency(t.Context(), "quantri", tt.code, tt.act, tt.successors); err == nil {
				t.Errorf("%s: the agency ended", name)
			}
		}
		if !c.agency(t, "H99.08").Open(c.now()) {
			t.Error("the agency is closed")
		}
	})
}

func TestAgencyThatIsSplit(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		c.mustSubmit(t, province, letter("01", "H99.08"))
		if err := c.EndAgency(t.Context(), "quantri", "H99.08", "Quyết định 1", []string{"H99.07", "G98"}); err != nil {
			t.Fatal(err)
		}
		if list := c.list(t, province); len(list) != 1 {
			t.Errorf("%d copies wait; what waits for a split agency stays with its system", len(list))
		}
		_, err := c.submit(t, province, letter("02", "H99.08"))
		if n, key := code(err); n != 18 || key != "axis.receiver_split" {
			t.Errorf("a message to a split agency = %v", err)
		}
	})
}

// TestRegisterBelowOwn is what a party may enter by itself.
func TestRegisterBelowOwn(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		register := func(p axis.Party, code, parent, name string) error {
			return c.RegisterAgency(ctx, p, axis.AgencyForm{Code: code, Parent: parent, Name: name})
		}
		if err := register(province, "H99.07.TRUNGTAM1", "", "Trung tâm Ứng dụng"); err != nil {
			t.Fatal(err)
		}
		a := c.agency(t, "H99.07.TRUNGTAM1")
		if a.Owner != province || a.Parent != "H99.07" || !a.IsAgency || len(orgcode.LongGroups(a.Code)) != 1 {
			t.Errorf("registered = %+v", a)
		}
		if err := register(province, "H99.07.TRUNGTAM1", "", "Trung tâm Chuyển đổi số"); err != nil {
			t.Fatal(err)
		}
		if got := c.agency(t, "H99.07.TRUNGTAM1"); got.ID != a.ID || got.Name != "Trung tâm Chuyển đổi số" || got.Version != 2 {
			t.Errorf("changed = %+v", got)
		}
		if err := register(province, "000.01.07.H99", "000.00.07.H99", "Phòng Một"); err != nil {
			t.Errorf("an old code below an own old code: %v", err)
		}
		for name, tt := range map[string]struct {
			party        axis.Party
			code, parent string
		}{
			"foreign":             {ministry, "H99.07.01", ""},
			"first level":         {province, "H98", ""},
			"its own root":        {province, "H99", ""},
			"not well-formed":     {province, "H99.07.a b", ""},
			"too long":            {province, "H99." + strings.Repeat("A", 12) + "." + strings.Repeat("B", 12) + "." + strings.Repeat("C", 12), ""},
			"old code, no parent": {province, "000.02.07.H99", ""},
			"old code, foreign":   {ministry, "000.02.07.H99", "000.00.07.H99"},
			"old code, elsewhere": {province, "000.02.07.H98", "000.00.07.H99"},
			"somebody's":          {lamDong, "H99.08", ""},
			"by a second parent":  {ministry, "H99.07.02", "G98"},
		} {
			if n, _ := code(register(tt.party, tt.code, tt.parent, "Tên")); n != 10 {
				t.Errorf("%s: %s was registered", name, tt.code)
			}
		}
		if err := c.DeleteAgency(ctx, ministry, "H99.07.TRUNGTAM1"); err == nil {
			t.Error("a foreign party closed an agency")
		}
		if err := c.DeleteAgency(ctx, province, "H99"); err == nil {
			t.Error("a party closed its own root")
		}
		if err := c.DeleteAgency(ctx, province, "H99.07.TRUNGTAM1"); err != nil {
			t.Fatal(err)
		}
		if got := c.ended(t, "H99.07.TRUNGTAM1"); got.ID != a.ID || got.Version != 3 {
			t.Errorf("closed = %+v", got)
		}
		if n, key := code(c.DeleteAgency(ctx, province, "H99.07.TRUNGTAM1")); n != 10 || key != "axis.agency_unknown" {
			t.Error("closed twice")
		}
		if _, err := c.submit(t, province, letter("01", "H99.07.TRUNGTAM1")); err == nil {
			t.Error("a closed agency received")
		}
		c.sleep(time.Minute)
		if err := register(province, "H99.07.TRUNGTAM1", "", "Trung tâm mới"); err != nil || c.agency(t, "H99.07.TRUNGTAM1").ID == a.ID {
			t.Errorf("the code again: %v", err)
		}
		if !slices.Contains(c.acts, "vxp:tinh.01 axis.agency.register H99.07.TRUNGTAM1") || !slices.Contains(c.acts, "vxp:tinh.01 axis.agency.close H99.07.TRUNGTAM1") {
			t.Errorf("acts: %q", c.acts)
		}
	})
}

// TestOneAgencyACode: a code in use is not given twice, also when two ask at the same time.
func TestOneAgencyACode(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		for name, f := range map[string]axis.AgencyForm{
			"current": {Code: "H99.07", Name: "Tên", Owner: ministry},
			"old":     {Code: "000.00.07.H99", Name: "Tên", Owner: ministry},
			"alias":   {Code: "G97", Aliases: []string{"H99"}, Name: "Tên", Owner: ministry},
			"as old":  {Code: "G97", Old: "000.00.00.H99", Name: "Tên", Owner: ministry},
		} {
			if _, err := c.AdmitAgency(ctx, "quantri", f); err == nil {
				t.Errorf("%s: a code in use was given", name)
			}
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		given := 0
		for range 8 {
			wg.Go(func() {
				if _, err := c.AdmitAgency(ctx, "quantri", axis.AgencyForm{Code: "G97", Name: "Tên", Owner: ministry}); err == nil {
					mu.Lock()
					given++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if given != 1 {
			t.Errorf("the code was given %d times", given)
		}
	})
}

func TestRenamedAgency(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		a := c.agency(t, "H99.07")
		f := axis.AgencyForm{Code: "H99.17", Name: "Sở Mẫu mới", Old: a.Old, Owner: province}
		if err := c.ChangeAgency(ctx, "quantri", "H99.07", a.Version+1, f); !errs.Is(err, errs.Conflict) {
			t.Errorf("a change of another version = %v", err)
		}
		if err := c.ChangeAgency(ctx, "quantri", "H99.07", a.Version, f); err != nil {
			t.Fatal(err)
		}
		for _, code := range []string{"H99.07", "H99.17", "000.00.07.H99"} {
			if got := c.agency(t, code); got.ID != a.ID || got.Code != "H99.17" {
				t.Errorf("%s is %+v", code, got)
			}
		}
		// The old code still sends and receives, and the current one is shown.
		if got := c.mustSubmit(t, province, letter("01", "G98")); len(got.Warnings) != 0 || c.list(t, ministry)[0].From != "H99.17" {
			t.Errorf("sent under the old code: %+v", got)
		}
		back := letter("02", "H99.07")
		back.From.ID = "G98"
		if got := c.mustSubmit(t, ministry, back); len(got.Warnings) != 0 || c.list(t, province)[0].To != "H99.17" {
			t.Errorf("received under the old code: %+v", got)
		}
	})
}

// TestAgencyThatMoves: a province leaves its old system for a node of its own.
func TestAgencyThatMoves(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		member := axis.Node(orgcode.Subsystem{Instance: "VN", Class: "GOV", Member: "G98", Code: "documents"})
		done, open := c.mustSubmit(t, province, letter("01", "G98")), c.mustSubmit(t, province, letter("02", "G98"))
		first := c.sent(t, province, done.DocID)[0].ID
		if err := c.Report(ctx, ministry, first, axis.Done, ""); err != nil {
			t.Fatal(err)
		}
		nodes := []axis.NodeAgency{{Party: member, Code: "G98", Name: "Bộ Ví Dụ"}, {Party: lamDong, Code: "H36", Name: "Lâm Đồng"}, {Party: "node:VN/GOV/x/documents", Code: "x", Name: "không có mã"}, {Party: axis.Party("node:VN/GOV/H57/documents"), Code: "H57", Name: "Huế"}}
		for round, want := range []int{2, 0} {
			if n, err := c.SyncNodes(ctx, nodes); err != nil || n != want {
				t.Errorf("SyncNodes, time %d = %d, %v; want %d", round+1, n, err, want)
			}
		}
		if len(c.list(t, ministry)) != 0 || len(c.list(t, member)) != 1 || len(c.pushed) != 1 || c.pushed[0].Copy.Message != open.DocID {
			t.Errorf("after the move the old system has %d, the node %d; pushed %+v", len(c.list(t, ministry)), len(c.list(t, member)), c.pushed)
		}
		if _, _, err := c.Open(ctx, ministry, first); err == nil {
			t.Error("the old system still reads the agency's documents")
		}
		c.fetch(t, member, first)
		if a := c.mustSubmit(t, province, letter("03", "H57")); c.sent(t, province, a.DocID)[0].Party != "node:VN/GOV/H57/documents" {
			t.Error("a new member does not receive")
		}
		if err := c.EndAgency(ctx, "quantri", "H57", "Quyết định 2", nil); err != nil {
			t.Fatal(err)
		}
		if n, err := c.SyncNodes(ctx, nodes); err != nil || n != 0 {
			t.Errorf("an agency that ended by law came back: %d, %v", n, err)
		}
	})
}

func TestAgencyFormsAreChecked(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		good := axis.AgencyForm{Code: "G97", Name: "Tên", Owner: ministry}
		for name, edit := range map[string]func(f *axis.AgencyForm){
			"no code":       func(f *axis.AgencyForm) { f.Code = " " },
			"no name":       func(f *axis.AgencyForm) { f.Name = "" },
			"line in name":  func(f *axis.AgencyForm) { f.Name = strings.Repeat("x", 250) + "\nx" },
			"long name":     func(f *axis.AgencyForm) { f.Name = strings.Repeat("ờ", 401) },
			"not UTF-8":     func(f *axis.AgencyForm) { f.Name = "\xff" },
			"zero byte":     func(f *axis.AgencyForm) { f.Mail = "a\x00b" },
			"bad alias":     func(f *axis.AgencyForm) { f.Aliases = []string{"x"} },
			"bad parent":    func(f *axis.AgencyForm) { f.Parent = "x" },
			"owner nowhere": func(f *axis.AgencyForm) { f.Owner = "vxp:" },
			"node nowhere":  func(f *axis.AgencyForm) { f.Owner = "node:VN/GOV" },
		} {
			f := good
			edit(&f)
			if _, err := c.AdmitAgency(t.Context(), "quantri", f); err == nil {
				t.Errorf("%s was entered", name)
			}
		}
		if _, err := c.AdmitAgency(t.Context(), "quantri", good); err != nil {
			t.Error(err)
		}
	})
}
