package documentsstore

import (
	"strings"
	"testing"

	"truc/internal/documents"
	"truc/internal/errs"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

// TestCopies: a clerk copies what was issued and what was accepted; copies have a series of their own and are in no other
// register.
func TestCopies(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		b := newBench(t, db)
		out, in := b.received(t, form())
		_, err := b.desk.Copy(t.Context(), clerk2, in, documents.CopyWhole)
		refused(t, err, errs.Conflict, "documents.wrong_state") // not accepted yet
		_, err = b.desk.Copy(t.Context(), head, out, documents.CopyWhole)
		refused(t, err, errs.Denied, "documents.role_missing")
		_, err = b.desk.Copy(t.Context(), clerk, out, "TrS")
		refused(t, err, errs.Invalid, "documents.copy_unknown")
		_, err = b.desk.Copy(t.Context(), clerk2, out, documents.CopyWhole)
		refused(t, err, errs.NotFound, "documents.not_found")
		first := must[documents.MadeCopy](t)(b.desk.Copy(t.Context(), clerk, out, documents.CopyWhole))
		second := must[documents.MadeCopy](t)(b.desk.Copy(t.Context(), clerk, out, documents.CopyOfCopy))
		if first.Code.String() != "01/SY-UBND" || second.Code.String() != "02/SL-UBND" {
			t.Errorf("the copies are %s and %s", first.Code, second.Code)
		}
		must[documents.CheckRecord](t)(b.desk.Precheck(t.Context(), clerk2, in))
		ok(t, b.desk.Accept(t.Context(), clerk2, in, ""))
		theirs := must[documents.MadeCopy](t)(b.desk.Copy(t.Context(), clerk2, in, documents.CopyWhole))
		if theirs.Code.String() != "01/SY-UBND" {
			t.Errorf("the other desk's copy is %s", theirs.Code)
		}
		if got := documents.Copies(b.out(t, out).Events); len(got) != 2 || got[0].File != first.File || got[1].Kind != documents.CopyOfCopy {
			t.Errorf("copies of the document: %+v", got)
		}
		f, content, err := b.desk.FileOf(t.Context(), clerk, out, first.File.ID)
		ok(t, err)
		defer content.Close()
		if f.Name != "01-SY-UBND.pdf" {
			t.Errorf("the file is called %q", f.Name)
		}
		now := b.clock.now()
		table := must[documents.Table](t)(b.desk.RegisterOutgoing(t.Context(), clerk, "H36", now.AddDate(0, 0, -1), now.AddDate(0, 0, 1)))
		for _, row := range table.Rows {
			if strings.Contains(row[0], "SY-") {
				t.Errorf("the register holds the copy %s", row[0])
			}
		}
		b.sigs.setFail(errs.E(errs.Unavailable, "sign.key_failed", nil))
		_, err = b.desk.Copy(t.Context(), clerk, out, documents.CopyWhole)
		refused(t, err, errs.Unavailable, "sign.key_failed")
		b.sigs.setFail(nil)
		if third := must[documents.MadeCopy](t)(b.desk.Copy(t.Context(), clerk, out, documents.CopyWhole)); third.Code.Number != "03" {
			t.Errorf("a failed signature took a number: %s", third.Code)
		}
	})
}
