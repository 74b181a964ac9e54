package axispage

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"truc/edxml"
	"truc/internal/documents/axis"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

// TestCopyIsSentAgain: an administrator restarts the delivery of a copy that a node could not be given.
func TestCopyIsSentAgain(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		s := newSite(t, db)
		ctx, node := t.Context(), axis.Party("node:VN/GOV/H36/documents")
		for _, f := range []axis.AgencyForm{{Code: "H99", Name: "Tỉnh", Owner: "vxp:a"}, {Code: "H36", Name: "Lâm Đồng", Owner: node}, {Code: "G98", Name: "Bộ", Owner: "vxp:b"}} {
			if _, err := s.hub.AdmitAgency(ctx, "lan", f); err != nil {
				t.Fatal(err)
			}
		}
		var b bytes.Buffer
		err := edxml.Write(&b, &edxml.Message{
			From: edxml.Organization{ID: "H99", Name: "Tỉnh"}, To: []edxml.Organization{{ID: "H36", Name: "Lâm Đồng"}, {ID: "G98", Name: "Bộ"}}, DocumentID: "x",
			Code: edxml.Code{Number: "08", Notation: "UBND"}, Date: edxml.Date{Year: 2026, Month: 3, Day: 5}, Subject: "V/v thử", Signer: edxml.Signer{FullName: "A"},
		})
		if err != nil {
			t.Fatal(err)
		}
		payload, err := s.hub.Blobs.Put(&b)
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.hub.Submit(ctx, axis.Submission{Party: "vxp:a", Kind: axis.Document, Payload: payload})
		if err != nil {
			t.Fatal(err)
		}
		page := "/axis/messages/" + a.DocID
		rows, err := s.hub.Sent(ctx, "vxp:a", axis.SentQuery{Kind: axis.Document, DocID: a.DocID})
		if err != nil {
			t.Fatal(err)
		}
		action := page + "/copies/" + rows[0].ID
		if body := s.get(page, "H36", "G98", string(node)); strings.Contains(body, action) {
			t.Error("a copy on its way can be sent again")
		}
		for _, row := range rows {
			if err := s.hub.Report(ctx, row.Party, row.ID, axis.Failed, "hết hạn gửi"); err != nil {
				t.Fatal(err)
			}
		}
		if body := s.get(page, action, "hết hạn gửi"); strings.Contains(body, rows[1].ID+`"`) && strings.Contains(body, page+"/copies/"+rows[1].ID) {
			t.Error("a copy that its receiver fetches can be sent again")
		}
		if w := s.do(http.MethodPost, action, "vi", url.Values{}, "clerk"); w.Code != http.StatusForbidden {
			t.Errorf("a clerk sent it: status %d", w.Code)
		}
		s.post("/axis/messages/other/copies/"+rows[0].ID, 404, url.Values{})
		s.post(action, 303, url.Values{})
		if c, err := s.hub.Store.Copy(ctx, rows[0].ID); err != nil || c.State != axis.Initial {
			t.Errorf("copy = %+v, %v", c, err)
		}
		s.post(action, 303, url.Values{})
		if err := s.hub.Report(ctx, node, rows[0].ID, axis.Done, ""); err != nil {
			t.Fatal(err)
		}
		s.post(action, 409, url.Values{})
		s.get(page)
	})
}
