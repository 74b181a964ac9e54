package documents

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"truc/edxml"
	"truc/internal/blobs"
)

// FuzzArrival reads bytes from the axis as a desk does: they are refused, or become an event that is projected into a row
// and whose files carry names without paths.
func FuzzArrival(f *testing.F) {
	store, err := blobs.Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	now := time.Date(2026, 3, 6, 2, 0, 0, 0, time.UTC)
	d := &Desk{Blobs: store, Now: func() time.Time { return now }}
	steering := 3
	for _, m := range []*edxml.Message{
		{
			From: edxml.Organization{ID: "G98", Name: "Bộ Ví Dụ"}, To: []edxml.Organization{{ID: "H57", Name: "Huế"}}, DocumentID: "G98,2026/03/05,08/BVD-VP",
			Code: edxml.Code{Number: "08", Notation: "BVD-VP"}, Date: edxml.Date{Year: 2026, Month: 3, Day: 5}, Type: edxml.DocumentType{Name: "Công văn"},
			Subject: "Thử", Signer: edxml.Signer{FullName: "A"}, Steering: &steering, ResponseFor: []edxml.Reference{{OrganID: "H57", DocumentID: "x"}},
			Business: edxml.Business{Kind: edxml.Revocation, DocumentID: "y", Reason: "z"},
		},
		{
			From: edxml.Organization{ID: "G98", Name: "Bộ"}, ResponseFor: []edxml.Reference{{OrganID: "H57", DocumentID: "x", Code: "1/X"}},
			Status: &edxml.Status{Code: "13", Description: "lấy lại", At: now},
		},
	} {
		var b bytes.Buffer
		if err := edxml.Write(&b, m); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		blob, err := store.Put(bytes.NewReader(payload))
		if err != nil {
			t.Fatal(err)
		}
		m, files, err := d.read(blob.SHA256)
		if err != nil || m.IsStatus() {
			return
		}
		rec := d.arrivalRecord(Arrival{Message: "m", Payload: blob, At: now}, m)
		row, sealed, err := extend(Stored{Row: Row{ID: "a"}}, []Event{{Type: EvArrived, At: now, Actor: system, Data: EventData{Office: "H57", Arrival: &rec, Files: files, Due: &now}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifyChain(sealed); err != nil {
			t.Fatal(err)
		}
		if row.State != Arrived || row.Party != rec.Sender.Code || !row.Urgency.Valid() {
			t.Errorf("row %+v", row)
		}
		for _, a := range files {
			if strings.ContainsAny(a.Name, "/\\\x00") || a.SHA256 == "" {
				t.Errorf("file %+v", a)
			}
		}
	})
}
