package edxml

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"strings"
)

const (
	sigLocal      = 0x04034b50
	sigCentral    = 0x02014b50
	sigDescriptor = 0x08074b50
	sigEnd        = 0x06054b50

	flagEncrypted  = 1 << 0
	flagDescriptor = 1 << 3
	flagStrong     = 1<<6 | 1<<13

	archiveRest = 256 << 10 // what may follow the only entry
)

// bombLimit is how much may come out of so many packed bytes.
func bombLimit(packed int64) int64 { return 20*packed + 1<<20 }

// entryReader unpacks the one entry of an archive that a builder made around a file, as it streams by. What the central directory says
// afterwards must agree with what came first, so that no two readers see different files.
type entryReader struct {
	in    *countedReader
	data  io.Reader
	limit int64

	name          string
	flags, method uint16
	crc           uint32 // as the local header says, or the descriptor
	packed, size  int64
	begin         int64 // where the data begin
	out           int64
	sum           uint32
	finished      error
}

// countedReader counts bytes taken one by one, so that the decompressor takes none too many.
type countedReader struct {
	*bufio.Reader
	n int64
}

// ReadByte implements io.ByteReader.
func (c *countedReader) ReadByte() (byte, error) {
	b, err := c.Reader.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

// Read implements io.Reader.
func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

func badZip(key string, args ...any) *Error { return fileError("M", pathContent, key, args...) }

func newEntryReader(r io.Reader, limit int64) (*entryReader, error) {
	e := &entryReader{in: &countedReader{Reader: bufio.NewReaderSize(r, 32<<10)}, limit: limit}
	var h [30]byte
	if err := e.full(h[:]); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(h[:]) != sigLocal {
		return nil, badZip("not_zip")
	}
	e.flags, e.method = binary.LittleEndian.Uint16(h[6:]), binary.LittleEndian.Uint16(h[8:])
	e.crc = binary.LittleEndian.Uint32(h[14:])
	e.packed, e.size = int64(binary.LittleEndian.Uint32(h[18:])), int64(binary.LittleEndian.Uint32(h[22:]))
	name := make([]byte, binary.LittleEndian.Uint16(h[26:]))
	if err := e.full(name); err != nil {
		return nil, err
	}
	e.name = string(name)
	if err := e.full(make([]byte, binary.LittleEndian.Uint16(h[28:]))); err != nil {
		return nil, err
	}
	if e.flags&(flagEncrypted|flagStrong) != 0 {
		return nil, badZip("zip_encrypted")
	}
	if e.name == "" || strings.ContainsAny(e.name, "/\\:\x00") || strings.Contains(e.name, "..") {
		return nil, badZip("zip_name")
	}
	e.begin = e.in.n
	switch {
	case e.method == zip.Deflate:
		e.data = flate.NewReader(e.in)
	case e.method == zip.Store && e.flags&flagDescriptor == 0:
		e.data = io.LimitReader(e.in, e.packed)
	default:
		return nil, badZip("zip_method")
	}
	return e, nil
}

// full reads exactly len(p) bytes; an archive that ends early is a bad one.
func (e *entryReader) full(p []byte) error {
	_, err := io.ReadFull(e.in, p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return badZip("not_zip")
	}
	return err
}

// Read implements io.Reader.
func (e *entryReader) Read(p []byte) (int, error) {
	if e.finished != nil {
		return 0, e.finished
	}
	n, err := e.data.Read(p)
	e.sum = crc32.Update(e.sum, crc32.IEEETable, p[:n])
	e.out += int64(n)
	if e.out > e.limit || e.out > bombLimit(e.in.n-e.begin) {
		e.finished = fileError("R", pathContent, "zip_bomb")
		return 0, e.finished
	}
	var corrupt flate.CorruptInputError
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &corrupt):
		e.finished = badZip("zip_corrupt")
	case errors.Is(err, io.EOF):
		if e.finished = e.finish(); e.finished == nil {
			e.finished = io.EOF
		}
	default:
		e.finished = err
	}
	if n > 0 {
		return n, nil
	}
	return 0, e.finished
}

// finish checks what follows the data, to the end of the archive.
func (e *entryReader) finish() error {
	packed := e.in.n - e.begin
	rest, err := io.ReadAll(io.LimitReader(e.in, archiveRest+1))
	if err != nil {
		return err
	}
	if len(rest) > archiveRest {
		return badZip("zip_corrupt")
	}
	if e.flags&flagDescriptor != 0 {
		if rest = e.descriptor(rest, packed); rest == nil {
			return badZip("zip_corrupt")
		}
	}
	if e.crc != e.sum || e.packed != packed || e.size != e.out {
		return badZip("zip_corrupt")
	}
	if len(rest) >= 4 && binary.LittleEndian.Uint32(rest) == sigLocal {
		return badZip("zip_entries")
	}
	return e.directory(rest)
}

// descriptor reads the sizes that stand behind the data, and returns what follows them: with or without a signature,
// with sizes of four bytes or of eight.
func (e *entryReader) descriptor(rest []byte, packed int64) []byte {
	for _, skip := range []int{4, 0} {
		for _, wide := range []int{4, 8} {
			end := skip + 4 + 2*wide
			if len(rest) < end+4 || skip == 4 && binary.LittleEndian.Uint32(rest) != sigDescriptor {
				continue
			}
			d := rest[skip:]
			p, s, high := binary.LittleEndian.Uint32(d[4:]), binary.LittleEndian.Uint32(d[8:]), uint32(0)
			if wide == 8 { // more than 4 GiB is refused long before
				s, high = binary.LittleEndian.Uint32(d[12:]), binary.LittleEndian.Uint32(d[8:])|binary.LittleEndian.Uint32(d[16:])
			}
			next := binary.LittleEndian.Uint32(rest[end:])
			if binary.LittleEndian.Uint32(d) == e.sum && int64(p) == packed && int64(s) == e.out && high == 0 && (next == sigCentral || next == sigLocal) {
				e.crc, e.packed, e.size = e.sum, packed, e.out
				return rest[end:]
			}
		}
	}
	return nil
}

// directory wants one entry in the central directory, the same as the local header announced.
func (e *entryReader) directory(rest []byte) error {
	if len(rest) < 46+22 || binary.LittleEndian.Uint32(rest) != sigCentral {
		return badZip("zip_corrupt")
	}
	u16 := func(at int) int { return int(binary.LittleEndian.Uint16(rest[at:])) }
	flags, method := binary.LittleEndian.Uint16(rest[8:]), binary.LittleEndian.Uint16(rest[10:])
	after := 46 + u16(28) + u16(30) + u16(32)
	if after+22 > len(rest) {
		return badZip("zip_corrupt")
	}
	if flags&(flagEncrypted|flagStrong) != 0 {
		return badZip("zip_encrypted")
	}
	if string(rest[46:46+u16(28)]) != e.name || method != e.method || binary.LittleEndian.Uint32(rest[16:]) != e.crc ||
		int64(binary.LittleEndian.Uint32(rest[20:])) != e.packed || int64(binary.LittleEndian.Uint32(rest[24:])) != e.size || binary.LittleEndian.Uint32(rest[42:]) != 0 {
		return badZip("zip_corrupt")
	}
	switch binary.LittleEndian.Uint32(rest[after:]) {
	case sigEnd:
	case sigCentral, sigLocal:
		return badZip("zip_entries")
	default:
		return badZip("zip_corrupt")
	}
	end := rest[after:]
	if binary.LittleEndian.Uint16(end[8:]) != 1 || binary.LittleEndian.Uint16(end[10:]) != 1 {
		return badZip("zip_entries")
	}
	if len(end) != 22+int(binary.LittleEndian.Uint16(end[20:])) {
		return badZip("zip_corrupt")
	}
	return nil
}

const (
	directoryLimit = 1 << 20 // bytes of a central directory, and what follows it
	entryLimit     = 1 << 16 // entries; in a megabyte there is no room for more than 22 800
)

var errDirectoryFar = errors.New("edxml: the archive's directory is too large")

// zipTail keeps the end of an archive that stays packed, where its directory is.
type zipTail struct {
	buf   []byte
	total int64
}

func (z *zipTail) write(b []byte) {
	z.total += int64(len(b))
	if len(z.buf)+len(b) > 2*directoryLimit {
		keep := z.buf[max(0, len(z.buf)-directoryLimit):]
		z.buf = z.buf[:copy(z.buf, keep)]
	}
	z.buf = append(z.buf, b...)
}

// ReadAt implements io.ReaderAt for the part that was kept.
func (z *zipTail) ReadAt(p []byte, off int64) (int, error) {
	at := off - (z.total - int64(len(z.buf)))
	if at < 0 {
		return 0, errDirectoryFar
	}
	return bytes.NewReader(z.buf).ReadAt(p, at)
}

// check refuses entries that leave their folder, that are encrypted, and that unpack to far too much. Folders inside the archive are
// allowed: nobody between sender and receiver unpacks it.
func (z *zipTail) check(limit int64) error {
	if i := bytes.LastIndex(z.buf, []byte("PK\x06\x06")); i >= 0 && len(z.buf)-i >= 40 && binary.LittleEndian.Uint64(z.buf[i+32:]) > entryLimit {
		return fileError("R", pathContent, "zip_bomb")
	}
	r, err := zip.NewReader(z, z.total)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return badZip("not_zip")
	}
	most, sum := uint64(max(0, min(limit, bombLimit(z.total)))), uint64(0)
	for _, f := range r.File {
		if f.Flags&(flagEncrypted|flagStrong) != 0 || f.Method == 99 {
			return badZip("zip_encrypted")
		}
		name := strings.ReplaceAll(f.Name, "\\", "/")
		if strings.HasPrefix(name, "/") || strings.ContainsAny(name, ":\x00") || slices.Contains(strings.Split(name, "/"), "..") {
			return badZip("zip_name")
		}
		if f.UncompressedSize64 > most || sum+f.UncompressedSize64 > most {
			return fileError("R", pathContent, "zip_bomb")
		}
		sum += f.UncompressedSize64
	}
	return nil
}
