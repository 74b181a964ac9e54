package app

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"truc/internal/pki"
)

// BenchmarkSignature compares a signature in the process with one by the signer program over its socket, with a SoftHSM token
// behind: what the way there costs. A real device adds its own time. Each remote signature is verified before it is used.
func BenchmarkSignature(b *testing.B) {
	h := newHSM(b)
	program := pki.NewSignerProgram(h.socket, 10*time.Second)
	defer program.Close()
	message := bytes.Repeat([]byte("x"), 90) // the text about the root of a shared signature
	for _, alg := range []pki.Alg{pki.Ed25519, pki.P256} {
		inFile, err := pki.GenerateKey(alg)
		if err != nil {
			b.Fatal(err)
		}
		remote, err := program.Make(context.Background(), "truc-"+string(alg), alg)
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range []struct {
			name string
			key  crypto.Signer
		}{{"file", inFile}, {"device", remote}} {
			b.Run(string(alg)+"/"+c.name, func(b *testing.B) {
				opts, text := crypto.SignerOpts(crypto.Hash(0)), message
				if alg == pki.P256 {
					sum := sha256.Sum256(message)
					opts, text = crypto.SHA256, sum[:]
				}
				for b.Loop() {
					if _, err := c.key.Sign(rand.Reader, text, opts); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
