package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/directory"
	"truc/internal/documents/receipt"
	"truc/internal/documents/receiptstore"
	"truc/internal/i18n"
	"truc/internal/pki"
	"truc/internal/sign"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

// signedDirectory is a directory of one node that names a key, signed by a network of its own.
func signedDirectory(t *testing.T, node string, key crypto.PublicKey) (envelope []byte, anchor string) {
	t.Helper()
	signer, err := pki.GenerateKey(pki.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	channel, err := pki.GenerateKey(pki.P256)
	if err != nil {
		t.Fatal(err)
	}
	doc := &directory.Document{
		Instance: "VN", Version: 1, IssuedAt: 1, ExpiresAt: 1 << 40, CenterURL: "https://127.0.0.1:1",
		Members:       []directory.Member{{Class: "GOV", Code: "G22", Name: i18n.Text{"vi": "Thử"}}},
		DirectoryKeys: []directory.PublicKey{directory.NewPublicKey(signer.Public(), 0, 0)},
		Nodes:         []directory.Node{{ID: node, Member: node[:strings.LastIndexByte(node, '/')], LinkURL: "https://127.0.0.1:2", TLSKeyID: directory.KeyID(channel.Public()), Keys: []directory.PublicKey{directory.NewPublicKey(key, 0, 0)}}},
	}
	b, err := doc.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := signer.Sign(nil, append([]byte("truc-directory-document-v1\n"), b...), crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	anchor = directory.KeyID(signer.Public())
	return directory.Envelope{Document: b, Signatures: []directory.Signature{{KeyID: anchor, Sig: base64.StdEncoding.EncodeToString(sig)}}}.Marshal(), anchor
}

// handoverReceipt issues and stamps a receipt about a document, and returns its file, the network's key and the
// authority's certificate in a file.
func handoverReceipt(t *testing.T, alg pki.Alg, document []byte, stamped bool) (file []byte, anchor, roots string) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	dir := t.TempDir()
	key, err := pki.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := pki.LoadOrCreateDocumentCA(dir, "development", pki.DocumentSubject{Name: "Test", Agency: "Test"}, now)
	if err != nil {
		t.Fatal(err)
	}
	tsaKey, cert, err := ca.LoadOrIssue(dir, "tsa", pki.TSAUse, pki.DocumentSubject{Name: "Test TSA", Agency: "Test"}, now, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	const node = "VN/GOV/G22/node1"
	envelope, anchor := signedDirectory(t, node, key.Public())
	db := storagetest.OpenSQLite(t)
	sub := os.DirFS(filepath.Join("..", "..", "internal", "documents", "receiptstore", "migrations"))
	if err := storage.Migrate(t.Context(), db, "receipt", sub, now); err != nil {
		t.Fatal(err)
	}
	s := &receipt.Service{
		Store: &receiptstore.Store{DB: db}, Node: node, Key: func() (crypto.Signer, string) { return key, pki.KeyID(key.Public()) },
		Directory: func() (int64, []byte) { return 1, envelope }, DirectoryAt: func(int64) []byte { return envelope }, Now: func() time.Time { return now },
		Authorities: []receipt.Authority{{Client: &sign.TSA{Identity: sign.Identity{Signer: tsaKey, Cert: cert}, Now: func() time.Time { return now }}, Roots: pki.EncodePEM(ca.Cert())}},
	}
	sum := sha256.Sum256(document)
	for _, e := range []receipt.Event{receipt.Accepted, receipt.Delivered, receipt.Refused} {
		err = db.InTx(t.Context(), func(tx *storage.Tx) error {
			_, err := s.Issue(t.Context(), tx, receipt.Fact{
				Event: e, DocID: "5b0c7a1e", DocumentID: "H36,2026/11/22,08/UBND-VP", Kind: "edoc", SHA256: hex.EncodeToString(sum[:]), From: "H36", To: []string{"G98"}, At: now,
				Journal: strings.Repeat("0f", 32), Reason: "không đúng thẩm quyền <&>",
			})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if stamped {
		if err := s.StampAll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.Of(t.Context(), "5b0c7a1e", "")
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	if file, err = s.File(t.Context(), list[1].ID); err != nil {
		t.Fatal(err)
	}
	roots = filepath.Join(dir, "roots.pem")
	if err := os.WriteFile(roots, pki.EncodePEM(ca.Cert()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, anchor, roots
}

func verifyFile(t *testing.T, content []byte, args ...string) (string, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "receipt.json")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	err := verify(context.Background(), streams{out: &out, err: &errOut}, append([]string{name}, args...))
	return out.String(), err
}

func TestVerifyHandover(t *testing.T) {
	document := []byte("<edXML/>")
	name := filepath.Join(t.TempDir(), "a.edxml")
	other := name + ".other"
	for n, b := range map[string][]byte{name: document, other: []byte("<edXML></edXML>")} {
		if err := os.WriteFile(n, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, alg := range []pki.Alg{pki.Ed25519, pki.P256} {
		file, anchor, roots := handoverReceipt(t, alg, document, true)
		out, err := verifyFile(t, file, "-anchor", anchor, "-roots", roots, "-document", name)
		if err != nil || !strings.Contains(out, "H36,2026/11/22,08/UBND-VP") || !strings.Contains(out, "VN/GOV/G22/node1") {
			t.Fatalf("%v\n%s", err, out)
		}
		if _, err := verifyFile(t, file, "-document", other); err == nil {
			t.Error("a receipt about another document passes")
		}
		_, stranger, otherRoots := handoverReceipt(t, alg, document, true)
		if _, err := verifyFile(t, file, "-anchor", stranger); err == nil {
			t.Error("the directory of another network passes")
		}
		if _, err := verifyFile(t, file, "-anchor", anchor, "-roots", otherRoots); err == nil {
			t.Error("a time-stamp of an authority that is not trusted passes")
		}
		for i := 0; i < len(file); i += 97 {
			bad := slices.Clone(file)
			bad[i] ^= 4
			if _, err := verifyFile(t, bad); err == nil {
				t.Fatalf("byte %d of %d changed, and it verifies", i, len(file))
			}
		}
	}
}

// TestPythonVerifiesHandover gives the same receipts, good and bad, to docs/verify_document_receipt.py.
func TestPythonVerifiesHandover(t *testing.T) {
	python, err := exec.LookPath("python3")
	_, errSSL := exec.LookPath("openssl")
	if err != nil || errSSL != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("python3 or openssl is missing; in CI nothing may be skipped")
		}
		t.Skip("python3 or openssl is missing; the product does not need them, this test does")
	}
	script := filepath.Join("..", "..", "docs", "verify_document_receipt.py")
	run := func(content []byte, args ...string) (string, error) {
		name := filepath.Join(t.TempDir(), "receipt.json")
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), python, append([]string{script, name}, args...)...).CombinedOutput()
		return string(out), err
	}
	for _, alg := range []pki.Alg{pki.Ed25519, pki.P256} {
		for _, stamped := range []bool{true, false} {
			file, anchor, roots := handoverReceipt(t, alg, []byte("<edXML/>"), stamped)
			if out, err := run(file, "-anchor", anchor, "-tsa", roots); err != nil || !strings.Contains(out, "H36,2026/11/22,08/UBND-VP") || strings.Contains(out, "pending") == stamped {
				t.Fatalf("%v\n%s", err, out)
			}
			if _, err := run(file, "-anchor", anchor[:20]+"AAAAAAAAAAAAAAAAAAAAAAA"); err == nil {
				t.Error("another network passes")
			}
			f, err := receipt.Parse(file)
			if err != nil {
				t.Fatal(err)
			}
			for name, change := range map[string]func(f *receipt.File){
				"payload": func(f *receipt.File) { f.JWS[len(f.JWS)/2] ^= 1 }, "signature": func(f *receipt.File) { f.JWS[len(f.JWS)-20] ^= 1 },
				"stamp": func(f *receipt.File) {
					if f.Stamp == nil {
						f.JWS[5] ^= 1
						return
					}
					f.Stamp.Index = 0
				},
			} {
				bad := f
				bad.JWS = slices.Clone(f.JWS)
				if f.Stamp != nil {
					st := *f.Stamp
					bad.Stamp = &st
				}
				change(&bad)
				b, err := bad.Marshal()
				if err != nil {
					t.Fatal(err)
				}
				if out, err := run(b); err == nil {
					t.Errorf("%s changed, and it verifies:\n%s", name, out)
				}
			}
			if out, err := run(bytes.Replace(file, []byte("receipt-v1"), []byte("receipt-v2"), 1)); err == nil {
				t.Error(fmt.Sprint("another format passes: ", out))
			}
		}
	}
}
