package pki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"truc/internal/errs"
)

// Blocks of a key file. Which one it begins with says how the key is kept.
const (
	plainBlock  = "PRIVATE KEY"        // PKCS#8
	deviceBlock = "TRUC KEY IN DEVICE" // the public key; the header Label names the private one at the signer program
	secretBlock = "TRUC SEALED SECRET" //nolint:gosec // the name of a block: 32 random bytes in hexadecimal, encrypted as a sealed key is
	publicBlock = "PUBLIC KEY"         // follows a sealed key, for whoever needs no more
	labelHeader = "Label"
	// passphraseLeast is how long a passphrase must be to seal with. One that a machine keeps should be 32 random bytes.
	passphraseLeast = 12
	secretDigits    = 64
)

// KeyStore is how the private keys of a node are kept: in plain files, in files sealed with a passphrase (PKCS#8, PBES2), or
// in a device behind the signer program, of which a file then names the label and the public key. A file's content says
// how its key is kept, so that a change of key is a change of file whatever it holds. Its methods are safe for concurrent
// use. A nil store keeps plain files.
type KeyStore struct {
	// Passphrase returns what files are sealed with. It is asked once. nil: new files are plain, and sealed ones cannot be
	// opened.
	Passphrase func() ([]byte, error)
	// Rounds of PBKDF2 for files that are sealed from now on; 0 is 600,000. Fewer are for tests.
	Rounds int
	// Device holds keys; nil without one.
	Device *SignerProgram

	mu     sync.Mutex // guards what follows
	pass   []byte
	opened map[[sha256.Size]byte]any // what sealed files hold, by their text: opening one is slow on purpose
}

// LoadOrCreate reads the key in path or makes one of kind alg in a file, sealed where there is a passphrase. It is
// [LoadOrCreateKey] otherwise.
func (s *KeyStore) LoadOrCreate(path string, alg Alg) (key crypto.Signer, err error) {
	defer errs.Wrap(&err, "key %s", path)
	return s.loadOr(path, alg, func() ([]byte, error) {
		key, err := GenerateKey(alg)
		if err != nil {
			return nil, err
		}
		return s.encode(key)
	})
}

// LoadOrUse reads the key in path, or writes there that it is the key of the device with a label, which is made when
// create is set.
func (s *KeyStore) LoadOrUse(ctx context.Context, path, label string, alg Alg, create bool) (key crypto.Signer, err error) {
	defer errs.Wrap(&err, "key %s", path)
	return s.loadOr(path, alg, func() ([]byte, error) {
		if s == nil || s.Device == nil {
			return nil, errs.E(errs.Unavailable, "pki.key_no_device", nil, "key", label)
		}
		ask := s.Device.Key
		if create {
			ask = func(ctx context.Context, label string) (*RemoteSigner, error) { return s.Device.Make(ctx, label, alg) }
		}
		key, err := ask(ctx, label)
		if err != nil {
			return nil, err
		}
		if got := AlgOf(key.Public()); got != alg { // before a file says otherwise
			return nil, errs.E(errs.Conflict, "pki.key_alg_other", nil, "want", string(alg), "got", string(got))
		}
		if _, err := key.Sign(rand.Reader, probe(), hashFor(key)); err != nil { //nolint:contextcheck // crypto.Signer takes none
			// A key that is there and may not sign.
			return nil, err
		}
		der, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: deviceBlock, Headers: map[string]string{labelHeader: hex.EncodeToString([]byte(label))}, Bytes: der}), nil
	})
}

// probe is what a key signs that has just been made; nothing is done with the signature.
func probe() []byte {
	sum := sha256.Sum256([]byte("truc: is this key usable?"))
	return sum[:]
}

func hashFor(key crypto.Signer) crypto.SignerOpts {
	if AlgOf(key.Public()) == Ed25519 {
		return crypto.Hash(0)
	}
	return crypto.SHA256
}

// loadOr reads a key of kind alg, after making its file where there is none.
func (s *KeyStore) loadOr(path string, alg Alg, content func() ([]byte, error)) (crypto.Signer, error) {
	key, err := s.load(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err := content()
		if err != nil {
			return nil, err
		}
		if err := createFile(path, text, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if key, err = s.load(path); err != nil { // if another process was faster, its key counts
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	if got := AlgOf(key.Public()); got != alg {
		return nil, errs.E(errs.Conflict, "pki.key_alg_other", nil, "want", string(alg), "got", string(got))
	}
	return key, nil
}

// Load reads a key of any kind.
func (s *KeyStore) Load(path string) (key crypto.Signer, err error) {
	defer errs.Wrap(&err, "key %s", path)
	return s.load(path)
}

func (s *KeyStore) load(path string) (crypto.Signer, error) {
	text, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, errs.E(errs.Invalid, "pki.key_unreadable", errors.New("no PEM block"), "file", filepath.Base(path))
	}
	switch block.Type {
	case plainBlock:
		return parseKey(path, block.Bytes)
	case encryptedBlock:
		v, err := s.unsealed(path, text, func(pass []byte) (any, error) {
			key, err := openKey(path, block.Bytes, pass)
			if err != nil {
				return nil, err
			}
			if pub, _ := pem.Decode(rest); pub != nil && !samePublic(key, pub.Bytes) {
				return nil, errs.E(errs.Invalid, "pki.key_unreadable", errors.New("the public key beside it is of another"), "file", filepath.Base(path))
			}
			return key, nil
		})
		if err != nil {
			return nil, err
		}
		return v.(crypto.Signer), nil //nolint:forcetypeassert // see above
	case deviceBlock:
		return s.inDevice(path, block)
	}
	return nil, errs.E(errs.Invalid, "pki.key_unreadable", fmt.Errorf("a block of type %q", block.Type), "file", filepath.Base(path))
}

func samePublic(key crypto.Signer, der []byte) bool {
	own, err := x509.MarshalPKIXPublicKey(key.Public())
	return err == nil && bytes.Equal(own, der)
}

// inDevice returns a key that is elsewhere. The signer program need not be there for that.
func (s *KeyStore) inDevice(path string, block *pem.Block) (crypto.Signer, error) {
	label, err := hex.DecodeString(block.Headers[labelHeader])
	if err != nil || len(label) == 0 {
		return nil, errs.E(errs.Invalid, "pki.key_unreadable", errors.New("no label"), "file", filepath.Base(path))
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errs.E(errs.Invalid, "pki.key_unreadable", err, "file", filepath.Base(path))
	}
	if s == nil || s.Device == nil {
		return nil, errs.E(errs.Unavailable, "pki.key_no_device", nil, "key", string(label))
	}
	return &RemoteSigner{program: s.Device, key: string(label), public: pub}, nil
}

// unsealed opens a file once for as long as it holds the same text.
func (s *KeyStore) unsealed(path string, text []byte, open func(pass []byte) (any, error)) (any, error) {
	if s == nil || s.Passphrase == nil {
		return nil, errs.E(errs.Unavailable, "pki.key_sealed", nil, "file", filepath.Base(path))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := sha256.Sum256(text)
	if v, ok := s.opened[id]; ok {
		return v, nil
	}
	pass, err := s.passphrase()
	if err != nil {
		return nil, err
	}
	v, err := open(pass)
	if err != nil {
		return nil, err
	}
	if s.opened == nil {
		s.opened = map[[sha256.Size]byte]any{}
	}
	s.opened[id] = v
	return v, nil
}

// passphrase asks once; the caller holds the lock.
func (s *KeyStore) passphrase() ([]byte, error) {
	if s.pass == nil {
		p, err := s.Passphrase()
		if err != nil {
			return nil, err
		}
		if p = firstLine(p); len(p) == 0 {
			return nil, errs.E(errs.Invalid, "pki.passphrase_short", nil, "least", passphraseLeast)
		}
		s.pass = p
	}
	return s.pass, nil
}

// ReadPassphrase reads a file with a passphrase in its first line, which not everybody on the machine may read.
func ReadPassphrase(path string) ([]byte, error) {
	b, err := readSecret(path)
	return firstLine(b), err
}

// sealing returns what new files are sealed with, nil when they are not.
func (s *KeyStore) sealing() ([]byte, error) {
	if s == nil || s.Passphrase == nil {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	pass, err := s.passphrase()
	if err == nil && len(pass) < passphraseLeast {
		return nil, errs.E(errs.Invalid, "pki.passphrase_short", nil, "least", passphraseLeast)
	}
	return pass, err
}

func (s *KeyStore) rounds() int {
	if s.Rounds == 0 {
		return kdfRounds
	}
	return s.Rounds
}

// encode is the file of a key: sealed where there is a passphrase.
func (s *KeyStore) encode(key crypto.Signer) ([]byte, error) {
	pass, err := s.sealing()
	if err != nil {
		return nil, err
	}
	if pass == nil {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: plainBlock, Bytes: der}), nil
	}
	text, err := sealKey(key, pass, s.rounds())
	if err != nil {
		return nil, err
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return append(text, pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: pub})...), nil
}

// LoadOrCreateSecret reads 32 random bytes, in hexadecimal, from path, or makes them; sealed where there is a passphrase.
func (s *KeyStore) LoadOrCreateSecret(path string) (digits []byte, err error) {
	defer errs.Wrap(&err, "secret %s", path)
	digits, err = s.loadSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return digits, err
	}
	raw := make([]byte, secretDigits/2)
	if _, err := rand.Read(raw); err != nil {
		return nil, err
	}
	text, err := s.encodeSecret([]byte(hex.EncodeToString(raw)))
	if err != nil {
		return nil, err
	}
	if err := createFile(path, text, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return s.loadSecret(path)
}

func (s *KeyStore) encodeSecret(digits []byte) ([]byte, error) {
	pass, err := s.sealing()
	if err != nil || pass == nil {
		return append(digits, '\n'), err
	}
	sealed, err := sealPBES2(digits, pass, s.rounds())
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: secretBlock, Bytes: sealed}), nil
}

func (s *KeyStore) loadSecret(path string) ([]byte, error) {
	text, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		if !isSecret(text) {
			return nil, errs.E(errs.Invalid, "pki.key_unreadable", errors.New("damaged: put it back from the backup"), "file", filepath.Base(path))
		}
		return text[:secretDigits], nil
	}
	if block.Type != secretBlock {
		return nil, errs.E(errs.Invalid, "pki.key_unreadable", fmt.Errorf("a block of type %q", block.Type), "file", filepath.Base(path))
	}
	v, err := s.unsealed(path, text, func(pass []byte) (any, error) {
		digits, err := openPBES2(block.Bytes, pass)
		if err != nil {
			return nil, errs.E(errs.Invalid, "pki.key_unreadable", err, "file", filepath.Base(path))
		}
		if len(digits) != secretDigits || !isSecret(digits) {
			return nil, errs.E(errs.Denied, "pki.key_passphrase", errors.New("the decrypted text is no secret"), "file", filepath.Base(path))
		}
		return digits, nil
	})
	if err != nil {
		return nil, err
	}
	return v.([]byte), nil //nolint:forcetypeassert // see above
}

// isSecret reports whether a text is 32 bytes in hexadecimal, with or without an end of line.
func isSecret(text []byte) bool {
	if line := firstLine(text); len(line) != secretDigits || len(text) > secretDigits+2 {
		return false
	}
	_, err := hex.Decode(make([]byte, secretDigits/2), text[:secretDigits])
	return err == nil
}

// Seal encrypts the key or secret in path with the store's passphrase, and reports whether it did: what is sealed, lies in a
// device, or is neither key nor secret stays as it is. The file is replaced whole after what will take its place has been
// opened once. Nobody else may be using the file.
func (s *KeyStore) Seal(path string) (changed bool, err error) {
	defer errs.Wrap(&err, "seal %s", path)
	if s == nil || s.Passphrase == nil {
		return false, errs.E(errs.Invalid, "pki.no_passphrase", nil)
	}
	return s.rewrite(path, (*KeyStore)(nil), s)
}

// Unseal puts the key or secret in path back into a plain file, and reports whether it was sealed.
func (s *KeyStore) Unseal(path string) (changed bool, err error) {
	defer errs.Wrap(&err, "unseal %s", path)
	return s.rewrite(path, s, (*KeyStore)(nil))
}

// rewrite reads a file as one store keeps it and writes it as the other does.
func (s *KeyStore) rewrite(path string, from, to *KeyStore) (bool, error) {
	text, err := readSecret(path)
	if err != nil {
		return false, err
	}
	sealed := from != nil
	block, _ := pem.Decode(text)
	var next []byte
	switch {
	case block == nil && isSecret(text) && !sealed, block != nil && block.Type == secretBlock && sealed:
		var digits []byte
		if digits, err = from.loadSecret(path); err == nil {
			next, err = to.encodeSecret(bytes.Clone(digits))
		}
	case block != nil && (block.Type == plainBlock && !sealed || block.Type == encryptedBlock && sealed):
		var key crypto.Signer
		if key, err = from.load(path); err == nil {
			next, err = to.encode(key)
		}
	default:
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, replaceKey(path, next, func(tmp string) error {
		if block == nil || block.Type == secretBlock {
			_, err := to.loadSecret(tmp)
			return err
		}
		_, err := to.load(tmp)
		return err
	})
}

// replaceKey puts a text in the place of a file, durably, when check is content with it.
func replaceKey(path string, text []byte, check func(tmp string) error) error {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // fails after the rename, as it should
	if err := errors.Join(write(tmp, text), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := check(tmp.Name()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// PublicKeyOf reads the public key of a key file without opening it.
func PublicKeyOf(path string) (pub crypto.PublicKey, err error) {
	defer errs.Wrap(&err, "key %s", path)
	text, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case plainBlock:
			key, err := parseKey(path, block.Bytes)
			if err != nil {
				return nil, err
			}
			return key.Public(), nil
		case publicBlock, deviceBlock:
			return x509.ParsePKIXPublicKey(block.Bytes)
		}
	}
	return nil, errs.E(errs.Invalid, "pki.key_unreadable", errors.New("no public key"), "file", filepath.Base(path))
}

// KeyFileState says how a key file keeps its content.
type KeyFileState string

// The states.
const (
	FilePlain  KeyFileState = "plain"
	FileSealed KeyFileState = "sealed"
	FileDevice KeyFileState = "device"
	FileOther  KeyFileState = "" // neither key nor secret
)

// StateOfKeyFile tells how the file keeps its content, without opening it.
func StateOfKeyFile(path string) (KeyFileState, error) {
	text, err := readSecret(path)
	if err != nil {
		return FileOther, err
	}
	block, _ := pem.Decode(text)
	switch {
	case block == nil && isSecret(text), block != nil && block.Type == plainBlock:
		return FilePlain, nil
	case block == nil:
		return FileOther, nil
	case block.Type == encryptedBlock, block.Type == secretBlock:
		return FileSealed, nil
	case block.Type == deviceBlock:
		return FileDevice, nil
	}
	return FileOther, nil
}
