package receiptstore

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"

	"truc/internal/documents/receipt"
	"truc/internal/errs"
	"truc/internal/pki"
	"truc/internal/sign"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

var at = time.Date(2026, 11, 22, 3, 4, 5, 678901000, time.UTC)

func service(t *testing.T, db *storage.DB) *receipt.Service {
	t.Helper()
	key, err := pki.GenerateKey(pki.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ca, err := pki.LoadOrCreateDocumentCA(dir, "development", pki.DocumentSubject{Name: "Test", Agency: "Test"}, at)
	if err != nil {
		t.Fatal(err)
	}
	tsaKey, cert, err := ca.LoadOrIssue(dir, "tsa", pki.TSAUse, pki.DocumentSubject{Name: "Test TSA", Agency: "Test"}, at, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	tsa := &sign.TSA{Identity: sign.Identity{Signer: tsaKey, Cert: cert}, Now: func() time.Time { return at }}
	return &receipt.Service{
		Store: &Store{DB: db}, Node: "VN/GOV/G22/node1", Key: func() (crypto.Signer, string) { return key, pki.KeyID(key.Public()) },
		Directory: func() (int64, []byte) { return 3, []byte(`{}`) }, DirectoryAt: func(int64) []byte { return []byte(`{}`) },
		Authorities: []receipt.Authority{{Client: tsa, Roots: pki.EncodePEM(ca.Cert())}}, Now: func() time.Time { return at },
	}
}

func migrations(t *testing.T) fs.FS {
	t.Helper()
	sub, err := fs.Sub(Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func fact(id string, e receipt.Event) receipt.Fact {
	return receipt.Fact{
		Event: e, DocID: "m", Copy: id, DocumentID: "H36,2026/11/22,08/UBND-VP", Kind: "edoc", SHA256: strings.Repeat("ab", 32), From: "H36", To: []string{"G98", "H57"}, At: at,
		Journal: strings.Repeat("0f", 32), Reason: "không đúng thẩm quyền",
	}
}

func TestNoReceiptForWhatIsNotCommitted(t *testing.T) {
	storagetest.Module(t, "receipt", migrations(t), func(t *testing.T, db *storage.DB) {
		s := service(t, db)
		undone := errors.New("undone")
		err := db.InTx(t.Context(), func(tx *storage.Tx) error {
			_, err := s.Issue(t.Context(), tx, fact("a", receipt.Accepted))
			return errors.Join(err, undone)
		})
		if !errors.Is(err, undone) {
			t.Fatal(err)
		}
		if list, err := s.Of(t.Context(), "m", ""); len(list) != 0 || err != nil {
			t.Errorf("a receipt for what was undone: %v, %v", list, err)
		}
		if _, err := s.Issue(t.Context(), nil, fact("a", receipt.Accepted)); err == nil {
			t.Error("a receipt without a transaction")
		}
	})
}

func TestReceiptsAreKeptOnceAndStamped(t *testing.T) {
	storagetest.Module(t, "receipt", migrations(t), func(t *testing.T, db *storage.DB) {
		s := service(t, db)
		const n = receipt.MaxBatch + 3
		for range 2 {
			err := db.InTx(t.Context(), func(tx *storage.Tx) error {
				for i := range n {
					if _, err := s.Issue(t.Context(), tx, fact(fmt.Sprint(i), receipt.Delivered)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if waiting, oldest, err := s.Store.Waiting(t.Context()); waiting != n || !oldest.Equal(at) || err != nil {
			t.Fatalf("Waiting = %d, %v, %v; want %d", waiting, oldest, err, n)
		}
		if err := s.StampAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := s.Of(t.Context(), "m", "")
		if err != nil || len(list) != n {
			t.Fatal(list, err)
		}
		if one, err := s.Of(t.Context(), "m", "7"); err != nil || len(one) != 1 || one[0].Copy != "7" {
			t.Errorf("receipts of one copy: %v, %v", one, err)
		}
		list = []receipt.Issued{list[0], list[n-1]}
		if list[0].Batch == list[1].Batch || list[0].Batch == 0 || !reflect.DeepEqual(list[0].Fact, fact("0", receipt.Delivered)) {
			t.Errorf("two batches were expected, with what was stored: %+v", list)
		}
		for _, r := range list {
			b, err := s.File(t.Context(), r.ID)
			if err != nil {
				t.Fatal(err)
			}
			if f, err := receipt.Parse(b); err != nil || f.Stamp == nil || string(f.JWS) != string(r.JWS) {
				t.Errorf("file of %d: %v", r.ID, err)
			}
		}
		if _, err := s.Store.Get(t.Context(), 1<<40); !errs.Is(err, errs.NotFound) {
			t.Errorf("Get = %v; want not found", err)
		}
		if err := s.Store.PutBatch(t.Context(), receipt.Batch{Size: 1, Token: []byte{1}, At: at}, []int64{list[0].ID}); !errs.Is(err, errs.Conflict) {
			t.Errorf("a second stamp on the same receipt: %v; want conflict", err)
		}
	})
}
