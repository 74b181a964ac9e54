package axisstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"truc/internal/documents/axis"
	"truc/internal/storage/storagetest"
)

// TestDamagedDocuments: whatever is cut out of, put into or changed in a message, the hub takes it as it came or refuses it
// with a code, and what it refused leaves nothing. (The parser itself is fuzzed in package edxml.)
func TestDamagedDocuments(t *testing.T) {
	db := storagetest.OpenSQLite(t)
	migrate(t, db)
	c, texts := newCenter(t, db), catalogue(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	taken, refused := 0, map[int]int{}
	for i := range 300 {
		number := fmt.Sprint(i)
		good := [][]byte{write(t, letter(number, "G98", "H36")), write(t, status("H99.08", "03", number, c.now())), withFile(t, letter(number, "H99.08"), "a.pdf", "%PDF-1.4")}
		sort := rnd.IntN(len(good))
		payload := good[sort]
		for range 1 + rnd.IntN(2) {
			i := rnd.IntN(len(payload))
			j := min(len(payload), i+1<<rnd.IntN(9))
			switch rnd.IntN(4) {
			case 0:
				payload[i] = byte(rnd.IntN(256))
			case 1:
				payload = append(payload[:i], payload[j:]...)
			case 2:
				payload = append(payload[:i:i], append(bytes.Clone(payload[i:j]), payload[i:]...)...)
			default:
				payload[i] = "<>/\"&;0 A"[rnd.IntN(9)]
			}
		}
		kind := []string{axis.Document, axis.StatusOf, axis.Document}[sort]
		before := c.counts(t)
		a, err := c.Submit(t.Context(), axis.Submission{Party: province, Kind: kind, Payload: c.put(t, payload)})
		if err != nil {
			r, ok := errors.AsType[*axis.Refusal](err)
			if !ok || r.Code < 10 || r.Text(texts, "vi") == "" {
				t.Fatalf("refused without a code: %v\n%q", err, payload)
			}
			if after := c.counts(t); after != before {
				t.Fatalf("rows were %s, now %s\n%q", before, after, payload)
			}
			refused[r.Code]++
			continue
		}
		taken++
		rows, err := c.Sent(t.Context(), province, axis.SentQuery{Kind: kind, DocID: a.DocID})
		if err != nil || len(rows) == 0 {
			t.Fatalf("taken for nobody: %v\n%q", err, payload)
		}
		for _, row := range rows {
			if b := c.fetch(t, row.Party, row.ID); !bytes.Equal(b, payload) {
				t.Fatal("the bytes handed out are not those that came")
			}
		}
	}
	if taken < 20 || refused[22] < 50 || refused[18]+refused[19] == 0 {
		t.Errorf("%d taken, refused by code %v: the damage was meant to be of all sorts", taken, refused)
	}
}
