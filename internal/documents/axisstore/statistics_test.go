package axisstore_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/documents/axis"
	"truc/internal/orgcode"
)

// recount counts from the journal alone what [axis.Hub.Traffic] counts from the tables.
func (c *center) recount(t *testing.T, prefix string, since, until time.Time) []axis.AgencyTraffic {
	t.Helper()
	byCode, refused := map[string]*axis.AgencyTraffic{}, map[string]bool{}
	at := func(code string) *axis.AgencyTraffic {
		if byCode[code] == nil {
			byCode[code] = &axis.AgencyTraffic{Code: code, Name: c.agency(t, code).Name}
		}
		return byCode[code]
	}
	var after int64
	for {
		list, err := c.Journal(t.Context(), axis.JournalQuery{After: after, Limit: 7})
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, e := range list {
			after = e.Seq
			if e.Time().Before(since) || !e.Time().Before(until) {
				continue
			}
			switch document := e.Kind == axis.Document; {
			case e.Event == axis.EvAccepted && document:
				at(e.From).SentDocuments++
				at(e.From).SentBytes += e.Size
			case e.Event == axis.EvAccepted:
				at(e.From).SentStatuses++
				at(e.From).SentBytes += e.Size
			case e.Event == axis.EvQueued && document:
				at(e.From).SentCopies++
				at(e.To).ReceivedDocuments++
			case e.Event == axis.EvQueued:
				at(e.To).ReceivedStatuses++
			case e.Event == axis.EvDelivered && document:
				at(e.To).Delivered++
			case e.Event == axis.EvRefused && !refused[e.Copy]:
				refused[e.Copy] = true
				at(e.To).Refused++
			}
		}
	}
	var out []axis.AgencyTraffic
	for _, code := range slices.Sorted(maps.Keys(byCode)) {
		if prefix == "" || orgcode.Under(code, prefix) {
			out = append(out, *byCode[code])
		}
	}
	return out
}

// TestStatisticsEqualARecount: what the pages show, by prefix and period, is what the journal says.
func TestStatisticsEqualARecount(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		start := c.now()
		owner := map[string]axis.Party{"G98": ministry, "H99": province, "H99.07": province, "H99.08": province, "H36": lamDong}
		codes := slices.Sorted(maps.Keys(owner))
		rnd := rand.New(rand.NewPCG(1, 2))
		for i := range 60 {
			from := codes[rnd.IntN(len(codes))]
			rnd.Shuffle(len(codes), func(i, j int) { codes[i], codes[j] = codes[j], codes[i] })
			m := letter(fmt.Sprint("s", i), slices.DeleteFunc(slices.Clone(codes[:1+rnd.IntN(3)]), func(s string) bool { return s == from })...)
			if len(m.To) == 0 {
				continue
			}
			m.From.ID, m.Subject = from, fmt.Sprint("chủ đề ", rnd.IntN(1000000))
			a := c.mustSubmit(t, owner[from], m)
			for _, row := range c.sent(t, owner[from], a.DocID) {
				st := []axis.CopyState{axis.Done, axis.Done, axis.Processing, axis.Failed}[rnd.IntN(4)]
				if err := c.Report(ctx, row.Party, row.ID, st, "lý do"); err != nil {
					t.Fatal(err)
				}
				if rnd.IntN(2) == 0 {
					s := status(row.To, []string{"02", "03", "06"}[rnd.IntN(3)], m.DocumentID, c.now())
					s.ResponseFor[0].OrganID = from
					c.mustSubmit(t, row.Party, s)
				}
			}
			c.sleep(time.Duration(rnd.IntN(8)) * time.Hour)
		}
		end := c.now().Add(time.Microsecond)
		for _, prefix := range []string{"", "H99", "H99.07", "G98", "G77"} {
			for name, period := range map[string][2]time.Time{
				"all": {start, end}, "a week": {start.Add(48 * time.Hour), start.Add(9 * 24 * time.Hour)}, "nothing": {end, end.Add(time.Hour)},
			} {
				list, total, err := c.Traffic(ctx, prefix, period[0], period[1])
				if err != nil {
					t.Fatal(err)
				}
				want := c.recount(t, prefix, period[0], period[1])
				if diff := cmp.Diff(want, list); diff != "" {
					t.Errorf("prefix %q, %s: recount against statistics:\n%s", prefix, name, diff)
				}
				var sum int64
				for _, l := range list {
					sum += l.SentDocuments + l.ReceivedDocuments
				}
				if sum != total.SentDocuments+total.ReceivedDocuments || prefix == "" && name == "all" && (total.SentDocuments < 30 || total.Refused == 0 || total.Delivered == 0) {
					t.Errorf("prefix %q, %s: total %+v", prefix, name, total)
				}
			}
		}
		if _, _, err := c.Traffic(ctx, "", end, start); err == nil {
			t.Error("a period that ends before it begins was counted")
		}
	})
}

// TestLateness: what waits and what nobody answered, the urgent first.
func TestLateness(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		send := func(number, to string, priority int) string {
			m := letter(number, to)
			m.Other.Priority = priority
			return c.sent(t, province, c.mustSubmit(t, province, m).DocID)[0].ID
		}
		slow, silent := send("01", "H36", 0), send("02", "H99.08", 0)
		urgent, answered := send("03", "G98", 2), send("04", "G98", 0)
		for id, p := range map[string]axis.Party{silent: province, answered: ministry} {
			if err := c.Report(ctx, p, id, axis.Done, ""); err != nil {
				t.Fatal(err)
			}
		}
		c.mustSubmit(t, ministry, status("G98", "03", "H99.07,2026/03/05,04/SM-VP", c.now()))
		c.mustSubmit(t, province, status("H99.08", "01", "H99.07,2026/03/05,02/SM-VP", c.now())) // came, nobody has looked
		late := func() (ids []string) {
			t.Helper()
			list, err := c.Late(ctx, "", 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range list {
				ids = append(ids, l.ID)
			}
			return ids
		}
		if got := late(); !slices.Equal(got, []string{urgent}) {
			t.Errorf("late at once: %q; want the urgent one", got)
		}
		list, err := c.Lateness(ctx, "")
		if err != nil || len(list) != 2 || list[0].Code != "G98" || list[0].Urgent != 1 || list[0].Name != "Bộ Ví Dụ" || list[1].Code != "H36" || list[1].Waiting != 1 || list[1].Late != 0 {
			t.Errorf("Lateness() = %+v, %v", list, err)
		}
		c.sleep(15 * time.Hour) // 00:15 in Viet Nam: the day is over
		if got := late(); !slices.Equal(got, []string{urgent, slow, silent}) {
			t.Errorf("late the next day: %q; want the urgent one, then by age", got)
		}
		list, err = c.Lateness(ctx, "H99")
		if err != nil || len(list) != 1 || list[0].Code != "H99.08" || list[0].Silent != 1 || list[0].Waiting != 0 {
			t.Errorf("Lateness(H99) = %+v, %v", list, err)
		}
		one, err := c.Late(ctx, "H36", 0)
		if err != nil || len(one) != 1 || one[0].ID != slow {
			t.Errorf("Late(H36) = %+v, %v", one, err)
		}
	})
}
