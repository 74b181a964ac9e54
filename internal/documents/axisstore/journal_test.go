package axisstore_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"truc/internal/documents/axis"
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
		if seq, _, err := c.VerifyJournal(t.Context()); err != nil || seq != 5+30*3+60 {
			t.Errorf("VerifyJournal() = %d, %v", seq, err)
		}
	})
}

// TestJournalShowsTampering: a row that was changed, taken out or put in breaks the chain.
func TestJournalShowsTampering(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		c.mustSubmit(t, province, letter("08", "G98", "H99.08"))
		c.mustSubmit(t, province, letter("09", "G98"))
		if _, _, err := c.VerifyJournal(ctx); err != nil {
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
				if _, _, err := c.VerifyJournal(ctx); (err == nil) != (q == back) {
					t.Errorf("%s: %v", q, err)
				}
			}
		}
		if _, err := c.db.ExecContext(ctx, `DELETE FROM axis_journal WHERE seq = 7`); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.VerifyJournal(ctx); err == nil {
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
		seq, err := c.Anchor(t.Context(), 0)
		if err != nil || seq != 5 || anchors() != 1 {
			t.Errorf("Anchor() = %d, %v; %d anchors", seq, err, anchors())
		}
		if again, err := c.Anchor(t.Context(), seq); err != nil || again != seq || anchors() != 1 {
			t.Errorf("Anchor() of the same = %d, %v; %d anchors", again, err, anchors())
		}
		c.mustSubmit(t, province, letter("08", "G98"))
		_, hash, err := c.VerifyJournal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if seq, err = c.Anchor(t.Context(), seq); err != nil || !slices.Contains(c.acts, fmt.Sprintf("system axis.journal.head %d:%s", seq, hash)) {
			t.Errorf("Anchor() = %d, %v; acts %q", seq, err, c.acts)
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
