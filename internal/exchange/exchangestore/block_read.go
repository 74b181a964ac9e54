package exchangestore

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"

	"truc/internal/exchange"
)

// decoder reads blocks; what it returns shares no memory with them.
type decoder struct {
	in    []byte
	words []string
	bad   bool
}

// block reads the wanted columns of a block that begins with row seq; other fields are empty. It appends to ms.
func (d *decoder) block(ms []exchange.Message, seq int64, data []byte, want columnSet) ([]exchange.Message, error) {
	n := len(data) - 4
	if n < 3 || crc32.Checksum(data[:n], crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(data[n:]) || data[0] != blockVersion {
		return ms, errDamaged
	}
	return d.content(ms, seq, data[1:n], want.with())
}

func (d *decoder) content(ms []exchange.Message, seq int64, in []byte, want columnSet) ([]exchange.Message, error) {
	d.in, d.bad = in, false
	count := d.uvarint()
	words := d.uvarint()
	if d.bad || count == 0 || count > maxBlockRead || words > uint64(len(d.in)) {
		return ms, errDamaged
	}
	d.words = d.words[:0]
	for range words {
		d.words = append(d.words, string(d.take(d.uvarint())))
	}
	start := len(ms)
	for i := range int64(count) {
		ms = append(ms, exchange.Message{Seq: seq + i})
	}
	rows := ms[start:]
	for c := 0; c < columnCount && !d.bad; c++ {
		col := d.take(d.uvarint())
		if !want.has(c) {
			continue
		}
		rest := d.in
		d.in = col
		switch {
		case c < colStatus:
			d.strings(rows, c)
		case c < colExchangeID:
			d.integers(rows, c)
		default:
			d.ids(rows, c)
		}
		d.bad = d.bad || len(d.in) != 0
		d.in = rest
	}
	if d.bad || len(d.in) != 0 {
		return ms[:start], errDamaged
	}
	return ms, nil
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.in)
	if n <= 0 {
		d.bad, d.in = true, nil
		return 0
	}
	d.in = d.in[n:]
	return v
}

func (d *decoder) varint() int64 {
	v := d.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.in)) {
		d.bad, d.in = true, nil
		return nil
	}
	b := d.in[:n]
	d.in = d.in[n:]
	return b
}

func (d *decoder) byte() byte {
	b := d.take(1)
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

func (d *decoder) word() string {
	n := d.uvarint()
	if n >= uint64(len(d.words)) {
		d.bad = true
		return ""
	}
	return d.words[n]
}

func (d *decoder) strings(rows []exchange.Message, col int) {
	switch d.byte() {
	case 0:
		s := d.word()
		for i := range rows {
			*text(&rows[i], col) = s
		}
	case 1:
		for i := range rows {
			*text(&rows[i], col) = d.word()
		}
	default:
		d.bad = true
	}
}

func (d *decoder) integers(rows []exchange.Message, col int) {
	mode := d.byte()
	if mode > 1 {
		d.bad = true
	}
	var before int64
	for i := range rows {
		v := expected(&rows[i], before, col)
		if mode == 1 {
			v += d.varint()
		}
		setNumber(&rows[i], col, v)
		before = v
	}
}

func (d *decoder) ids(rows []exchange.Message, col int) {
	kind := d.byte()
	for i := range rows {
		k, n := kind, uint64(16)
		if kind == idText {
			k = d.byte()
			if k == idHex || k == idText {
				n = d.uvarint()
			}
		}
		switch k {
		case idEmpty:
		case idUUID:
			var b [36]byte
			u := d.take(16)
			if len(u) < 16 {
				return
			}
			hex.Encode(b[:8], u[:4])
			hex.Encode(b[9:13], u[4:6])
			hex.Encode(b[14:18], u[6:8])
			hex.Encode(b[19:23], u[8:10])
			hex.Encode(b[24:], u[10:])
			b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
			*text(&rows[i], col) = string(b[:])
		case idHex:
			*text(&rows[i], col) = hex.EncodeToString(d.take(n))
		case idText:
			*text(&rows[i], col) = string(d.take(n))
		default:
			d.bad = true
			return
		}
	}
}
