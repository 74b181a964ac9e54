package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
)

// Bounds of a bundle. It is written by people; the shipped ones are under 100 kB.
const (
	maxFiles     = 200
	maxFileSize  = 256 << 10
	maxTotalSize = 4 << 20
	maxArchive   = 8 << 20
)

var safePath = regexp.MustCompile(`^[a-z0-9A-Z][A-Za-z0-9._-]{0,79}(/[A-Za-z0-9][A-Za-z0-9._-]{0,79}){0,3}$`)

// fileSet holds the files of a bundle in memory.
type fileSet struct {
	names []string // sorted
	data  map[string][]byte
}

// readFiles reads every file below the root. Hidden files are not part of a bundle.
func readFiles(fsys fs.FS) (*fileSet, Problems) {
	set := &fileSet{data: map[string][]byte{}}
	var bad Problems
	total := 0
	err := fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != "." && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		if !d.Type().IsRegular() || !safePath.MatchString(path) {
			bad = append(bad, problem(path, 0, "unsafePath", "path", path))
			return nil
		}
		if len(set.names) >= maxFiles {
			bad = append(bad, problem(path, 0, "tooMany", "what", "tệp/files", "max", maxFiles))
			return fs.SkipAll
		}
		b, err := readLimited(fsys, path)
		if err != nil {
			bad = append(bad, problem(path, 0, "cannotRead", "what", err))
			return nil
		}
		if total += len(b); len(b) > maxFileSize || total > maxTotalSize {
			bad = append(bad, problem(path, 0, "tooLarge", "max", maxFileSize))
			return fs.SkipAll
		}
		set.names, set.data[path] = append(set.names, path), b
		return nil
	})
	if err != nil {
		bad = append(bad, problem(".", 0, "cannotRead", "what", err))
	}
	slices.Sort(set.names)
	return set, bad
}

func readLimited(fsys fs.FS, path string) ([]byte, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return io.ReadAll(io.LimitReader(f, maxFileSize+1))
}

// hash is the content address: sha256 of one line "path size sha256" a file, in order of path.
func (s *fileSet) hash() string {
	h := sha256.New()
	for _, n := range s.names {
		sum := sha256.Sum256(s.data[n])
		h.Write(fmt.Appendf(nil, "%s %d %x\n", n, len(s.data[n]), sum))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Pack returns the files of a bundle as one deterministic archive, to be stored with the version.
func Pack(fsys fs.FS) (_ []byte, err error) {
	defer errs.Wrap(&err, "pack bundle")
	set, bad := readFiles(fsys)
	if len(bad) > 0 {
		return nil, bad
	}
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, n := range set.names {
		// A fixed time keeps the archive of equal files equal.
		f, err := w.CreateHeader(&zip.FileHeader{Name: n, Method: zip.Deflate, Modified: time.Unix(0, 0).UTC()})
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(set.data[n]); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// Unpack gives the file tree of an archive made by [Pack]. [Load] applies the limits of files to it.
func Unpack(archive []byte) (fs.FS, error) {
	if len(archive) > maxArchive {
		return nil, errs.E(errs.TooLarge, "bundle.archive.bad", nil)
	}
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, errs.E(errs.Invalid, "bundle.archive.bad", err)
	}
	return r, nil
}
