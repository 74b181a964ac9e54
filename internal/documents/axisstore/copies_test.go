package axisstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"truc/edxml"
	"truc/internal/blobs"
	"truc/internal/documents/axis"
	"truc/internal/errs"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

func (c *center) row(t testing.TB, id string) axis.Copy {
	t.Helper()
	got, err := c.Store.Copy(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestStatesOfACopy(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		c.mustSubmit(t, province, letter("08", "G98"))
		id := c.list(t, ministry)[0].ID
		for i, step := range []struct {
			state       axis.CopyState
			description string
			refused     bool
			listed      bool
			says        string
		}{
			{axis.Processing, "leaked", false, true, ""},
			{axis.Processing, "", false, true, ""},
			{axis.Failed, "không giải mã được", false, true, "không giải mã được"},
			{axis.Failed, "lần hai", false, true, "lần hai"},
			{axis.Processing, "lần hai", false, true, ""},
			{axis.Failed, "ba", false, true, "ba"},
			{axis.Initial, "", true, true, "ba"},
			{"deleted", "", true, true, "ba"},
			{axis.Done, "ba", false, false, ""},
			{axis.Done, "", false, false, ""},
			{axis.Failed, "", true, false, ""},
			{axis.Processing, "", true, false, ""},
		} {
			err := c.Report(ctx, ministry, id, step.state, step.description)
			if n, _ := code(err); (err != nil) != step.refused || step.refused && n != 10 {
				t.Errorf("step %d, %s: %v", i, step.state, err)
			}
			if got := c.row(t, id); got.Description != step.says || (len(c.list(t, ministry)) == 1) != step.listed {
				t.Errorf("step %d, %s: %q, listed %v", i, step.state, got.Description, !step.listed)
			}
		}
		for name, tt := range map[string]struct {
			party axis.Party
			id    string
		}{"foreign": {province, id}, "unknown": {ministry, "x"}, "message instead of copy": {province, c.sent(t, province, "")[0].Message}} {
			n, key := code(c.Report(ctx, tt.party, tt.id, axis.Done, ""))
			if n != 10 || key != "axis.message_unknown" {
				t.Errorf("%s: %d %s", name, n, key)
			}
			_, _, err := c.Open(ctx, tt.party, tt.id)
			if n, key = code(err); n != 10 || key != "axis.message_unknown" {
				t.Errorf("%s opened: %v", name, err)
			}
		}
	})
}

func TestLease(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		c.mustSubmit(t, province, letter("08", "G98"))
		id := c.list(t, ministry)[0].ID
		state := func() axis.CopyState { return c.list(t, ministry)[0].State }
		report := func(st axis.CopyState) {
			t.Helper()
			if err := c.Report(ctx, ministry, id, st, ""); err != nil {
				t.Fatal(err)
			}
		}
		report(axis.Processing)
		c.sleep(axis.DefaultLease - time.Second)
		if n, err := c.ReturnLeases(ctx); err != nil || n != 0 || state() != axis.Processing {
			t.Errorf("inside the lease: %d returned, %v, %s", n, err, state())
		}
		report(axis.Processing) // takes a new lease
		c.sleep(axis.DefaultLease - time.Second)
		if state() != axis.Processing {
			t.Error("the lease was not renewed")
		}
		c.sleep(time.Second)
		if state() != axis.Initial {
			t.Error("after the lease the list still says processing")
		}
		if n, err := c.ReturnLeases(ctx); err != nil || n != 1 {
			t.Errorf("ReturnLeases() = %d, %v", n, err)
		}
		entries, err := c.Journal(ctx, axis.JournalQuery{Event: axis.EvReturned})
		if err != nil || len(entries) != 1 || entries[0].Copy != id || c.row(t, id).State != axis.Initial {
			t.Errorf("journal = %+v, %v", entries, err)
		}
		report(axis.Processing)
		report(axis.Done)
		c.sleep(time.Hour)
		if n, err := c.ReturnLeases(ctx); err != nil || n != 0 || c.row(t, id).State != axis.Done {
			t.Errorf("a done copy came back: %d, %v", n, err)
		}
	})
}

// TestListsIgnoreWhatIsNotTheirs: VXP clients send parameters of earlier calls along.
func TestListsIgnoreWhatIsNotTheirs(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		var ids []string
		for i := range 3 {
			ids = append(ids, c.mustSubmit(t, province, letter(fmt.Sprintf("%02d", i), "G98", "H99.08")).DocID)
			c.sleep(time.Hour)
		}
		back := letter("99", "H99.07")
		back.From.ID = "G98"
		foreign := c.mustSubmit(t, ministry, back)
		for name, tt := range map[string]struct {
			q    axis.ReceivedQuery
			want int
		}{
			"all":        {axis.ReceivedQuery{}, 4},
			"foreign to": {axis.ReceivedQuery{To: "G98"}, 4},
			"unknown to": {axis.ReceivedQuery{To: "x"}, 4},
			"own to":     {axis.ReceivedQuery{To: "H99.08"}, 3},
			"old code":   {axis.ReceivedQuery{To: "000.00.07.H99"}, 1},
			"since":      {axis.ReceivedQuery{Since: c.now().Add(-150 * time.Minute)}, 3},
			"until":      {axis.ReceivedQuery{Until: c.now().Add(-150 * time.Minute)}, 1},
			"limit":      {axis.ReceivedQuery{Limit: 2}, 2},
			"skip":       {axis.ReceivedQuery{Limit: 3, Skip: 3}, 1},
		} {
			tt.q.Kind = axis.Document
			list, err := c.Received(ctx, province, tt.q)
			if err != nil || len(list) != tt.want {
				t.Errorf("%s: %d rows, %v; want %d", name, len(list), err, tt.want)
			}
			for i := 1; i < len(list); i++ {
				if list[i].Sent.Before(list[i-1].Sent) {
					t.Errorf("%s: not the oldest first", name)
				}
			}
		}
		for name, tt := range map[string]struct {
			docID string
			want  int
		}{"all": {"", 6}, "own": {ids[1], 2}, "foreign": {foreign.DocID, 6}, "unknown": {"x", 6}} {
			if list := c.sent(t, province, tt.docID); len(list) != tt.want {
				t.Errorf("sent, %s: %d rows; want %d", name, len(list), tt.want)
			}
		}
		if _, err := c.Received(ctx, province, axis.ReceivedQuery{Kind: "x"}); err == nil {
			t.Error("a kind that is none was listed")
		}
	})
}

// TestManyReceivers: n receivers are n copies of one payload.
func TestManyReceivers(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		var codes []string
		for i := range 95 {
			codes = append(codes, fmt.Sprintf("H99.07.%02d", i))
			if err := c.RegisterAgency(ctx, province, axis.AgencyForm{Code: codes[i], Name: "Đơn vị"}); err != nil {
				t.Fatal(err)
			}
		}
		a := c.mustSubmit(t, province, letter("08", codes...))
		rows, ids := c.sent(t, province, a.DocID), map[string]bool{}
		for _, r := range rows {
			ids[r.ID] = true
			if r.Payload != rows[0].Payload {
				t.Error("copies of one message have several payloads")
			}
		}
		if len(rows) != 95 || len(ids) != 95 || ids[a.DocID] {
			t.Errorf("%d rows, %d ids", len(rows), len(ids))
		}
		if n, err := c.Count(ctx, province, axis.Document); err != nil || n != 95 {
			t.Errorf("Count() = %d, %v", n, err)
		}
	})
}

// TestOneStoredCopy: a document of 20 MB for 95 receivers is one file, which each of them is given whole.
func TestOneStoredCopy(t *testing.T) {
	db := storagetest.OpenSQLite(t)
	migrate(t, db)
	c := newCenter(t, db)
	dir := t.TempDir()
	var err error
	if c.Blobs, err = blobs.Open(dir); err != nil {
		t.Fatal(err)
	}
	var codes []string
	for i := range 95 {
		codes = append(codes, fmt.Sprintf("H99.07.%02d", i))
		if err := c.RegisterAgency(t.Context(), province, axis.AgencyForm{Code: codes[i], Name: "Đơn vị"}); err != nil {
			t.Fatal(err)
		}
	}
	const size = 20 << 20
	m := letter("08", codes...)
	m.Attachments = []edxml.Attachment{{Name: "08.pdf", Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(io.MultiReader(strings.NewReader("%PDF-1.4\n"), ones{}), size)), nil
	}}}
	a := c.mustSubmit(t, province, m)
	rows := c.sent(t, province, a.DocID)
	if len(rows) != 95 {
		t.Fatalf("%d copies", len(rows))
	}
	for _, row := range rows {
		f, got, err := c.Open(t.Context(), row.Party, row.ID)
		if err != nil {
			t.Fatal(err)
		}
		if end, err := f.Seek(0, io.SeekEnd); err != nil || end != got.Payload.Size {
			t.Errorf("%s is given %d of %d bytes, %v", row.To, end, got.Payload.Size, err)
		}
		f.Close()
	}
	files, bytes := 0, int64(0)
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			st, e := d.Info()
			if e != nil {
				return e
			}
			files, bytes = files+1, bytes+st.Size()
		}
		return err
	})
	if err != nil || files != 1 || bytes != rows[0].Payload.Size || bytes < size*4/3 || bytes > size*4/3+100_000 {
		t.Errorf("%d files of %d bytes for a document of %d, %v", files, bytes, size, err)
	}
}

// ones is a file of one byte over and over.
type ones struct{}

func (ones) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '1'
	}
	return len(p), nil
}

// TestDoneIsFinal: whatever parties report in whatever order, copies behave like the table of states, and done stays.
func TestDoneIsFinal(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		n := 0
		rapid.Check(t, func(r *rapid.T) {
			n++
			receivers := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"G98", "H99", "H99.08", "H36"}), 1, 4, rapid.ID[string]).Draw(r, "receivers")
			a := c.mustSubmit(t, province, letter(fmt.Sprintf("p%d", n), receivers...))
			rows := c.sent(t, province, a.DocID)
			if len(rows) != len(receivers) {
				r.Fatalf("%d receivers, %d copies", len(receivers), len(rows))
			}
			model := map[string]axis.CopyState{}
			for range rapid.IntRange(0, 12).Draw(r, "steps") {
				row := rapid.SampledFrom(rows).Draw(r, "copy")
				st := rapid.SampledFrom([]axis.CopyState{axis.Processing, axis.Done, axis.Failed}).Draw(r, "state")
				err := c.Report(t.Context(), row.Party, row.ID, st, "lý do")
				if (err != nil) != (model[row.ID] == axis.Done && st != axis.Done) {
					r.Fatalf("%s after %q: %v", st, model[row.ID], err)
				}
				if err == nil {
					model[row.ID] = st
				}
			}
			for _, row := range c.sent(t, province, a.DocID) {
				want := model[row.ID]
				if want == "" {
					want = axis.Initial
				}
				if row.State != want || row.Received.IsZero() == (want == axis.Done) {
					r.Fatalf("state %s, received %v; want %s", row.State, row.Received, want)
				}
			}
		})
		if _, err := c.VerifyJournal(t.Context(), axis.Mark{}); err != nil {
			t.Error(err)
		}
	})
}

// TestReceipts: who may have which, and none for what was undone.
func TestReceipts(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		a := c.mustSubmit(t, province, letter("08", "G98", "H36"))
		id := c.list(t, ministry)[0].ID
		c.fetch(t, ministry, id)
		c.fetch(t, ministry, id)
		for range 2 {
			if err := c.Report(ctx, ministry, id, axis.Done, ""); err != nil {
				t.Fatal(err)
			}
		}
		c.mustSubmit(t, ministry, status("G98", "02", "H99.07,2026/03/05,08/SM-VP", c.now()))
		names := func(p axis.Party, id string) string {
			t.Helper()
			list, err := c.Receipts(ctx, p, id)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, r := range list {
				fmt.Fprintf(&b, "%s ", r.Event)
			}
			return b.String()
		}
		if got := names(province, a.DocID); len(strings.Fields(got)) != 4 {
			t.Errorf("the sender has %s", got)
		}
		for _, want := range []string{"accepted", "opened", "delivered", "refused"} {
			if !strings.Contains(names(province, a.DocID), want) {
				t.Errorf("the sender has no receipt %s", want)
			}
		}
		if got := names(ministry, id); strings.Contains(got, "accepted") || len(strings.Fields(got)) != 3 {
			t.Errorf("the receiver has %s", got)
		}
		for name, tt := range map[string]struct {
			p  axis.Party
			id string
		}{"another's copy": {lamDong, id}, "another's message": {ministry, a.DocID}, "unknown": {province, "x"}} {
			if _, err := c.Receipts(ctx, tt.p, tt.id); err == nil {
				t.Errorf("%s: receipts were given out", name)
			}
		}
		for _, f := range c.facts {
			if f.Event == axis.EvAccepted && f.Kind == axis.Document && (strings.Join(f.To, ",") != "G98,H36" || f.From != "H99.07" || f.Hash == "" || f.Seq == 0 || f.Payload.SHA256 == "") {
				t.Errorf("fact = %+v", f)
			}
		}
		list, err := c.Receipts(ctx, province, a.DocID)
		if err != nil || len(list) == 0 {
			t.Fatal(err)
		}
		if b, err := c.ReceiptFile(ctx, list[0]); err != nil || string(b) != "file "+list[0].ID {
			t.Errorf("ReceiptFile() = %q, %v", b, err)
		}
	})
}

// TestReportInAnothersTransaction: the outcome of a delivery and the state of the copy stand or fall together.
func TestReportInAnothersTransaction(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		c.mustSubmit(t, province, letter("08", "H36"))
		id, undo := c.pushed[0].Copy.ID, errors.New("undo")
		err := c.db.InTx(t.Context(), func(tx *storage.Tx) error {
			if err := c.ReportIn(t.Context(), tx, lamDong, id, axis.Done, ""); err != nil {
				return err
			}
			return undo
		})
		if !errors.Is(err, undo) || c.row(t, id).State != axis.Initial {
			t.Errorf("undone: %v, %s", err, c.row(t, id).State)
		}
		err = c.db.InTx(t.Context(), func(tx *storage.Tx) error { return c.ReportIn(t.Context(), tx, lamDong, id, axis.Done, "") })
		if err != nil || c.row(t, id).State != axis.Done {
			t.Errorf("done: %v, %s", err, c.row(t, id).State)
		}
		if _, err := c.VerifyJournal(t.Context(), axis.Mark{}); err != nil {
			t.Error(err)
		}
	})
}

func TestPushAgain(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		c.mustSubmit(t, province, letter("08", "H36", "G98"))
		id := c.pushed[0].Copy.ID
		if err := c.Report(ctx, lamDong, id, axis.Failed, "hết hạn"); err != nil {
			t.Fatal(err)
		}
		if err := c.PushAgain(ctx, "quantri", id); err != nil {
			t.Fatal(err)
		}
		if len(c.pushed) != 2 || c.pushed[0].ID == c.pushed[1].ID || c.pushed[1].Copy.ID != id || c.row(t, id).State != axis.Initial {
			t.Errorf("pushed %+v", c.pushed)
		}
		if err := c.PushAgain(ctx, "quantri", c.list(t, ministry)[0].ID); !errs.Is(err, errs.Conflict) {
			t.Errorf("a copy of a system that fetches was pushed: %v", err)
		}
		if err := c.Report(ctx, lamDong, id, axis.Done, ""); err != nil {
			t.Fatal(err)
		}
		if err := c.PushAgain(ctx, "quantri", id); !errs.Is(err, errs.Conflict) {
			t.Errorf("a done copy was pushed: %v", err)
		}
	})
}

// TestRetention: a payload goes when its time is over and everybody has it, and only then.
func TestRetention(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		c.mustSubmit(t, province, letter("01", "G98"))
		c.mustSubmit(t, province, letter("02", "G98"))
		list := c.list(t, ministry)
		if err := c.Report(ctx, ministry, list[0].ID, axis.Done, ""); err != nil {
			t.Fatal(err)
		}
		wants := func(i int) bool {
			t.Helper()
			ok, err := c.Wants(ctx, list[i].Payload.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		if n, err := c.Expire(ctx); err != nil || n != 0 || !wants(0) {
			t.Errorf("expired early: %d, %v", n, err)
		}
		c.sleep(axis.DefaultRetention + time.Hour)
		c.mustSubmit(t, province, letter("03", "G98"))
		if n, err := c.Expire(ctx); err != nil || n != 1 || wants(0) || !wants(1) {
			t.Errorf("Expire() = %d, %v; wants %v %v", n, err, wants(0), wants(1))
		}
		if n, err := c.Blobs.Sweep(ctx, time.Now().Add(time.Hour), func(sha string) (bool, error) { return c.Wants(ctx, sha) }); err != nil || n != 1 {
			t.Errorf("Sweep() = %d, %v", n, err)
		}
		_, _, err := c.Open(ctx, ministry, list[0].ID)
		if n, key := code(err); n != 10 || key != "axis.payload_expired" {
			t.Errorf("an expired payload = %v", err)
		}
		if got := c.fetch(t, ministry, list[1].ID); !bytes.Equal(got, write(t, letter("02", "G98"))) {
			t.Error("a payload that waits for its receiver is damaged")
		}
	})
}

func TestBusinessStatus(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		a := c.mustSubmit(t, province, letter("08", "G98"))
		id := "H99.07,2026/03/05,08/SM-VP"
		business := func() string { return c.sent(t, province, a.DocID)[0].Business }
		at := c.now().Truncate(time.Second)
		for _, step := range []struct {
			code string
			at   time.Duration
			want string
		}{{"01", 1, "01"}, {"04", 3, "04"}, {"03", 2, "04"}, {"05", 4, "05"}} { // 03 was overtaken
			got := c.mustSubmit(t, ministry, status("G98", step.code, id, at.Add(step.at*time.Minute)))
			if business() != step.want || len(got.Warnings) != 0 {
				t.Errorf("after %s: %q; want %q, %+v", step.code, business(), step.want, got.Warnings)
			}
		}
		// 13 goes from the sender to the receiver.
		recall := status("H99.07", "13", id, at.Add(5*time.Minute))
		recall.ResponseFor[0].OrganID = "G98"
		c.mustSubmit(t, province, recall)
		if business() != "13" {
			t.Errorf("after 13: %q", business())
		}
		list, err := c.Received(t.Context(), ministry, axis.ReceivedQuery{Kind: axis.StatusOf})
		if err != nil || len(list) != 1 || list[0].From != "H99.07" || list[0].Document != id {
			t.Errorf("the receiver has %+v, %v", list, err)
		}
		if list, err = c.Received(t.Context(), province, axis.ReceivedQuery{Kind: axis.StatusOf}); err != nil || len(list) != 4 {
			t.Errorf("the sender has %d statuses, %v", len(list), err)
		}
		if got := c.mustSubmit(t, ministry, status("G98", "06", "unknown", at)); len(got.Warnings) != 1 || got.Warnings[0].Key != "axis.original_unknown" {
			t.Errorf("a status of nothing: %+v", got)
		}
		entries, err := c.Journal(t.Context(), axis.JournalQuery{DocID: a.DocID, Event: axis.EvBusiness})
		if err != nil || len(entries) != 5 {
			t.Errorf("%d statuses in the journal, %v", len(entries), err)
		}
	})
}

// TestEvents: a party that goes on from the last number it saw misses nothing and sees nothing of others.
func TestEvents(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		var after int64
		seen := map[axis.Event]int{}
		for i := range 5 {
			c.mustSubmit(t, province, letter(fmt.Sprint("e", i), "G98", "H36"))
			if err := c.Report(ctx, ministry, c.list(t, ministry)[0].ID, axis.Done, ""); err != nil {
				t.Fatal(err)
			}
			for {
				list, err := c.Events(ctx, ministry, after, 2)
				if err != nil {
					t.Fatal(err)
				}
				if len(list) == 0 {
					break
				}
				for _, e := range list {
					if e.Seq <= after || e.To == "H36" {
						t.Errorf("event %+v after %d", e, after)
					}
					after = e.Seq
					seen[e.Event]++
				}
			}
		}
		if seen[axis.EvQueued] != 5 || seen[axis.EvDelivered] != 5 {
			t.Errorf("seen %v", seen)
		}
	})
}
