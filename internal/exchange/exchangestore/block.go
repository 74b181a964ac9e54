package exchangestore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"truc/internal/exchange"
)

// The format of a block, version 1. Numbers are varints of encoding/binary, signed ones zigzag.
//
//	byte      version
//	uvarint   number of rows
//	uvarint   number of strings, then each: uvarint length, bytes
//	column    for each of the columns below, in their order: uvarint length in bytes, then
//	          a column of strings:  byte 0 and one number for all rows, or byte 1 and a number for each row
//	          a column of integers: byte 0 when the column is what is expected of it, or byte 1 and a difference for each row
//	          a column of ids:      byte 0 when all are empty; 1 and 16 bytes for each, UUIDs; 2 and 16 bytes for each, in
//	                                hex; 3 and for each a byte and a value: empty, UUID, hex or text with its length
//	4 bytes   CRC-32C of all before, little-endian
//
// Columns carry their length so that a reader takes only those it needs: to count the messages of an hour it does not
// look at ids.
const (
	blockVersion = 1
	// maxBlock bounds the rows of a block, and so what one look-up decodes.
	maxBlock = 512
	// maxBlockRead bounds what is believed of a block's own count.
	maxBlockRead = 4096
)

var errDamaged = errors.New("a block of the exchange index is damaged")

// encoder writes blocks in memory that is used again.
type encoder struct {
	out, col []byte
	numbers  map[string]uint64
	words    []string
}

// block returns the rows as a block. The bytes are the encoder's, until it is used again.
func (e *encoder) block(ms []exchange.Message) []byte {
	if e.numbers == nil {
		e.numbers = map[string]uint64{}
	}
	clear(e.numbers)
	e.words, e.col = e.words[:0], e.col[:0]
	for c := range columnCount {
		mark := len(e.col)
		switch {
		case c < colStatus:
			e.strings(ms, c)
		case c < colExchangeID:
			e.integers(ms, c)
		default:
			e.ids(ms, c)
		}
		// The length goes in front of what it is the length of.
		var n [binary.MaxVarintLen64]byte
		head := binary.PutUvarint(n[:], uint64(len(e.col)-mark)) //nolint:gosec // a length
		e.col = append(e.col, n[:head]...)
		copy(e.col[mark+head:], e.col[mark:len(e.col)-head])
		copy(e.col[mark:], n[:head])
	}
	e.out = append(e.out[:0], blockVersion)
	e.out = binary.AppendUvarint(e.out, uint64(len(ms)))
	e.out = binary.AppendUvarint(e.out, uint64(len(e.words)))
	for _, w := range e.words {
		e.out = append(binary.AppendUvarint(e.out, uint64(len(w))), w...)
	}
	e.out = append(e.out, e.col...)
	clear(e.words) // strings of messages are not kept alive
	return binary.LittleEndian.AppendUint32(e.out, crc32.Checksum(e.out, crc32.MakeTable(crc32.Castagnoli)))
}

func (e *encoder) number(s string) uint64 {
	n, ok := e.numbers[s]
	if !ok {
		n = uint64(len(e.words))
		e.words, e.numbers[s] = append(e.words, s), n
	}
	return n
}

func (e *encoder) strings(ms []exchange.Message, col int) {
	first := *text(&ms[0], col)
	same := true
	for i := range ms {
		if *text(&ms[i], col) != first {
			same = false
			break
		}
	}
	if same {
		e.col = binary.AppendUvarint(append(e.col, 0), e.number(first))
		return
	}
	e.col = append(e.col, 1)
	last, n := first, e.number(first)
	for i := range ms {
		if s := *text(&ms[i], col); s != last {
			last, n = s, e.number(s)
		}
		e.col = binary.AppendUvarint(e.col, n)
	}
}

func (e *encoder) integers(ms []exchange.Message, col int) {
	mark, news := len(e.col), false
	e.col = append(e.col, 1)
	var before int64
	for i := range ms {
		v := number(&ms[i], col)
		d := v - expected(&ms[i], before, col)
		e.col = binary.AppendVarint(e.col, d)
		before, news = v, news || d != 0
	}
	if !news {
		e.col = append(e.col[:mark], 0)
	}
}

// Kinds of ids.
const (
	idEmpty = iota
	idUUID
	idHex
	idText
)

func (e *encoder) ids(ms []exchange.Message, col int) {
	kind := idKind(*text(&ms[0], col))
	for i := range ms {
		s := *text(&ms[i], col)
		if k := idKind(s); k != kind || k == idHex && len(s) != 32 {
			kind = idText
			break
		}
	}
	e.col = append(e.col, byte(kind))
	for i := range ms {
		s := *text(&ms[i], col)
		k := kind
		if kind == idText {
			k = idKind(s)
			e.col = append(e.col, byte(k)) //nolint:gosec // one of four
			switch k {
			case idHex:
				e.col = binary.AppendUvarint(e.col, uint64(len(s)/2))
			case idText:
				e.col = binary.AppendUvarint(e.col, uint64(len(s)))
			}
		}
		switch k {
		case idUUID:
			e.col = appendHex(appendHex(appendHex(appendHex(appendHex(e.col, s[:8]), s[9:13]), s[14:18]), s[19:23]), s[24:])
		case idHex:
			e.col = appendHex(e.col, s)
		case idText:
			e.col = append(e.col, s...)
		}
	}
}

// idKind tells in which form an id comes back as it is.
func idKind(s string) int {
	if s == "" {
		return idEmpty
	}
	if len(s)%2 != 0 {
		return idText
	}
	uuid := len(s) == 36
	for i := range len(s) {
		if c := s[i]; c == '-' && uuid && (i == 8 || i == 13 || i == 18 || i == 23) {
			continue
		} else if hexDigits[unhex(c)] != c || uuid && (i == 8 || i == 13 || i == 18 || i == 23) {
			return idText
		}
	}
	if uuid {
		return idUUID
	}
	return idHex
}

const hexDigits = "0123456789abcdef"

// unhex returns the value of a digit in lower case; of anything else it returns what is not written like it. Random
// digits would make the processor guess wrongly at a branch.
func unhex(c byte) byte { return (c&15 + c>>6*9) & 15 }

func appendHex(b []byte, s string) []byte {
	for i := 0; i+1 < len(s); i += 2 {
		b = append(b, unhex(s[i])<<4|unhex(s[i+1]))
	}
	return b
}
