package sign

import "errors"

// Limits of the conversion.
const (
	maxBERDepth = 48
	maxBERSize  = 16 << 20
)

var errBER = errors.New("malformed BER")

// toDER returns the first ASN.1 element of b with definite lengths and strings in one piece, and how many bytes of b it
// took. Signatures by others come in BER (X.690 §8.1.3.6: lengths that end with a mark, strings in pieces), while
// everything that is hashed or signed inside them is in DER already and stays as it is. What is not minimal otherwise is
// left to the parser to refuse.
func toDER(b []byte) (der []byte, used int, err error) {
	if len(b) > maxBERSize {
		return nil, 0, errBER
	}
	der, used, _, err = convertBER(b, 0)
	return der, used, err
}

// berHeader reads tag and length. length is -1 for the indefinite form.
func berHeader(b []byte) (tag []byte, length, size int, err error) {
	if len(b) < 2 {
		return nil, 0, 0, errBER
	}
	n := 1
	if b[0]&0x1f == 0x1f { // tag number in further bytes
		for {
			if n >= len(b) || n > 5 {
				return nil, 0, 0, errBER
			}
			n++
			if b[n-1]&0x80 == 0 {
				break
			}
		}
	}
	tag = b[:n]
	if n >= len(b) {
		return nil, 0, 0, errBER
	}
	first := b[n]
	n++
	switch {
	case first == 0x80:
		return tag, -1, n, nil
	case first < 0x80:
		return tag, int(first), n, nil
	}
	count := int(first & 0x7f)
	if count > 4 || n+count > len(b) {
		return nil, 0, 0, errBER
	}
	for _, c := range b[n : n+count] {
		length = length<<8 | int(c)
	}
	if n += count; length > len(b)-n {
		return nil, 0, 0, errBER
	}
	return tag, length, n, nil
}

func convertBER(b []byte, depth int) (der []byte, used int, changed bool, err error) {
	tag, length, n, err := berHeader(b)
	if err != nil || depth > maxBERDepth {
		return nil, 0, false, errBER
	}
	constructed := tag[0]&0x20 != 0
	if !constructed {
		if length < 0 || length > len(b)-n {
			return nil, 0, false, errBER
		}
		return b[:n+length], n + length, false, nil
	}
	var content []byte
	pieces := tag[0] == 0x24
	changed = length < 0 || pieces
	pos, end := n, n+length
	if length < 0 {
		end = len(b)
	} else if end > len(b) {
		return nil, 0, false, errBER
	}
	for length < 0 || pos != end {
		if length < 0 && pos+2 <= end && b[pos] == 0 && b[pos+1] == 0 {
			pos += 2
			break
		}
		inner, took, other, err := convertBER(b[pos:end], depth+1)
		if err != nil {
			return nil, 0, false, err
		}
		changed = changed || other
		if pieces { // an OCTET STRING in pieces: only their contents count
			t, l, h, err := berHeader(inner)
			if err != nil || t[0] != 0x04 || l != len(inner)-h {
				return nil, 0, false, errBER
			}
			inner = inner[h:]
		}
		content = append(content, inner...)
		pos += took
	}
	if !changed {
		return b[:pos], pos, false, nil
	}
	out := append([]byte{}, tag...)
	if pieces {
		out[0] = 0x04
	}
	return append(appendLength(out, len(content)), content...), pos, true, nil
}

// appendLength writes a length in DER (X.690 §10.1).
func appendLength(b []byte, n int) []byte {
	switch {
	case n < 1<<7:
		return append(b, byte(n)) //nolint:gosec // it fits
	case n < 1<<8:
		return append(b, 0x81, byte(n))
	case n < 1<<16:
		return append(b, 0x82, byte(n>>8), byte(n)) //nolint:gosec // byte by byte
	case n < 1<<24:
		return append(b, 0x83, byte(n>>16), byte(n>>8), byte(n)) //nolint:gosec // byte by byte
	}
	return append(b, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n)) //nolint:gosec // byte by byte
}
