package documentsstore

import (
	"testing"

	"truc/internal/documents"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

// TestFirstOpeningIsTold: the first look at what arrived is told to the axis, whoever looks and however often.
func TestFirstOpeningIsTold(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		b := newBench(t, db)
		_, in := b.received(t, form())
		b.axis.take()
		for _, by := range []documents.Actor{clerk2, head2, clerk2} {
			must[*documents.Incoming](t)(b.desk.Incoming(t.Context(), by, in))
		}
		told := b.axis.take()
		if len(told) != 1 || told[0].Kind != documents.KindOpened || told[0].From != "H57" || told[0].ID != documents.OpenedPrefix+b.in(t, in).Arrival.Message {
			t.Errorf("told %+v", told)
		}
	})
}
