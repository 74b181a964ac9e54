package axisstore_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"truc/internal/documents/axis"
	"truc/internal/errs"
)

// TestJournalHasNoGaps: many parties at once leave one chain.
func TestJournalHasNoGaps(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		var wg sync.WaitGroup
		for w := range 6 {
			wg.Go(func() {
				for i := range 5 {
					c.mustSubmit(t, province, letter(fmt.Sprintf("%d-%d", w, i), "G98", "H99.08"))
				}
			})
		}
		wg.Wait()
		for _, p := range []axis.Party{ministry, province} {
			for _, row := range c.list(t, p) {
				wg.Go(func() {
					if err := c.Report(t.Context(), p, row.ID, axis.Done, ""); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		if end, err := c.VerifyJournal(t.Context(), axis.Mark{}); err != nil || end.Seq != 5+30*3+60 {
			t.Errorf("VerifyJournal() = %v, %v", end, err)
		}
	})
}

// TestJournalShowsTampering: a row that was changed, taken out or put in breaks the chain.
func TestJournalShowsTampering(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		c.mustSubmit(t, province, letter("08", "G98", "H99.08"))
		c.mustSubmit(t, province, letter("09", "G98"))
		if _, err := c.VerifyJournal(ctx, axis.Mark{}); err != nil {
			t.Fatal(err)
		}
		for _, column := range []string{"at", "event", "message", "copy", "kind", "party", "peer", "from_code", "to_code", "document", "sha256", "size", "note", "prev_hash", "hash"} {
			change := `UPDATE axis_journal SET ` + column + ` = ` + column + ` || 'x' WHERE seq = 7`
			back := `UPDATE axis_journal SET ` + column + ` = substr(` + column + `, 1, length(` + column + `) - 1) WHERE seq = 7`
			if column == "at" || column == "size" {
				change, back = `UPDATE axis_journal SET `+column+` = `+column+` + 1 WHERE seq = 7`, `UPDATE axis_journal SET `+column+` = `+column+` - 1 WHERE seq = 7`
			}
			for _, q := range []string{change, back} {
				if _, err := c.db.ExecContext(ctx, q); err != nil {
					t.Fatal(err)
				}
				if _, err := c.VerifyJournal(ctx, axis.Mark{}); (err == nil) != (q == back) {
					t.Errorf("%s: %v", q, err)
				}
			}
		}
		if _, err := c.db.ExecContext(ctx, `DELETE FROM axis_journal WHERE seq = 7`); err != nil {
			t.Fatal(err)
		}
		if _, err := c.VerifyJournal(ctx, axis.Mark{}); err == nil {
			t.Error("a row that is missing does not show")
		}
	})
}

// TestAnchor: the head of the journal goes into the audit log when it grew, and only then.
func TestAnchor(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		anchors := func() int {
			n := 0
			for _, a := range c.acts {
				if strings.HasPrefix(a, "system axis.journal.head ") {
					n++
				}
			}
			return n
		}
		mark, err := c.Anchor(t.Context(), axis.Mark{})
		if err != nil || mark.Seq != 5 || anchors() != 1 {
			t.Errorf("Anchor() = %v, %v; %d anchors", mark, err, anchors())
		}
		if again, err := c.Anchor(t.Context(), mark); err != nil || again != mark || anchors() != 1 {
			t.Errorf("Anchor() of the same = %v, %v; %d anchors", again, err, anchors())
		}
		c.mustSubmit(t, province, letter("08", "G98"))
		end, err := c.VerifyJournal(t.Context(), mark)
		if err != nil || end.Seq != 7 {
			t.Fatal(end, err)
		}
		if mark, err = c.Anchor(t.Context(), mark); err != nil || mark != end || !slices.Contains(c.acts, fmt.Sprintf("system axis.journal.head %d:%s", end.Seq, end.Hash)) {
			t.Errorf("Anchor() = %v, %v; acts %q", mark, err, c.acts)
		}
		c.mustSubmit(t, province, letter("09", "G98"))
		if _, err := c.db.ExecContext(t.Context(), `UPDATE axis_journal SET size = size + 1 WHERE seq = 8`); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Anchor(t.Context(), mark); !errs.Is(err, errs.Internal) || anchors() != 2 {
			t.Errorf("a journal that was changed is anchored: %v, %d anchors", err, anchors())
		}
	})
}

func TestJournalOfAMessage(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		a := c.mustSubmit(t, province, letter("08", "G98", "H36"))
		c.mustSubmit(t, province, letter("09", "G98"))
		list, err := c.Journal(t.Context(), axis.JournalQuery{DocID: a.DocID})
		if err != nil || len(list) != 3 || list[0].Event != axis.EvAccepted || list[1].To != "G98" || list[2].To != "H36" {
			t.Errorf("journal = %+v, %v", list, err)
		}
		newest, err := c.Journal(t.Context(), axis.JournalQuery{Newest: true, Limit: 2})
		if err != nil || len(newest) != 2 || newest[0].Seq != 10 || newest[1].Seq != 9 {
			t.Errorf("newest = %+v, %v", newest, err)
		}
		if older, err := c.Journal(t.Context(), axis.JournalQuery{Newest: true, After: 9, Limit: 1}); err != nil || len(older) != 1 || older[0].Seq != 8 {
			t.Errorf("older = %+v, %v", older, err)
		}
	})
}
