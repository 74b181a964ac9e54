package axisstore_test

import (
	"bytes"
	"testing"
	"time"

	"truc/internal/documents/axis"
)

func TestADocumentFromEndToEnd(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		m := letter("08", "G98", "H36")
		accepted := c.mustSubmit(t, province, m)
		if accepted.DocID == "" || accepted.Repeated || len(accepted.Warnings) != 0 || !bytes.HasPrefix(accepted.Receipt, []byte("accepted "+accepted.DocID)) {
			t.Errorf("Submit() = %+v", accepted)
		}
		waiting := c.list(t, ministry)
		if len(waiting) != 1 || waiting[0].From != "H99.07" || waiting[0].To != "G98" || waiting[0].State != axis.Initial || waiting[0].Number != "08/SM-VP" || waiting[0].Subject != m.Subject {
			t.Fatalf("received = %+v", waiting)
		}
		if len(c.list(t, province)) != 0 {
			t.Error("the sender received its own document")
		}
		if len(c.pushed) != 1 || c.pushed[0].Copy.To != "H36" || c.pushed[0].Copy.Party != lamDong {
			t.Errorf("pushed to nodes: %+v", c.pushed)
		}
		id := waiting[0].ID
		if got := c.fetch(t, ministry, id); !bytes.Equal(got, write(t, m)) {
			t.Error("the bytes handed out are not those that came")
		}
		if _, _, err := c.Open(t.Context(), province, id); err == nil {
			t.Error("another party was given the copy")
		}
		c.sleep(time.Minute)
		if err := c.Report(t.Context(), ministry, id, axis.Done, ""); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Count(t.Context(), ministry, axis.Document); err != nil || n != 0 || len(c.list(t, ministry)) != 0 {
			t.Errorf("a done copy is listed: %d, %v", n, err)
		}
		rows := c.sent(t, province, accepted.DocID)
		if len(rows) != 2 || rows[0].State != axis.Done || !rows[0].Received.Equal(c.now()) || rows[1].State != axis.Initial || rows[0].ID == rows[1].ID {
			t.Errorf("sent = %+v", rows)
		}
		seq, _, err := c.VerifyJournal(t.Context())
		if err != nil || seq < 5 {
			t.Errorf("VerifyJournal() = %d, %v", seq, err)
		}
	})
}
