package sign

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"slices"
)

// decode undoes the filters of a cross-reference or object stream.
func (f *pdfFile) decode(st pdfStream) ([]byte, error) {
	filter, err := f.resolve(st.dict.get("Filter"))
	if err != nil {
		return nil, err
	}
	parms, err := f.resolve(st.dict.get("DecodeParms"))
	if err != nil {
		return nil, err
	}
	if a, ok := filter.(pdfArray); ok && len(a) <= 1 {
		filter = nil
		if len(a) == 1 {
			filter = a[0]
		}
		if p, ok := parms.(pdfArray); ok && len(p) == 1 {
			parms = p[0]
		}
	}
	out := st.raw
	if filter != nil {
		if filter != pdfName("FlateDecode") {
			return nil, fmt.Errorf("%w: unsupported filter", errPDFSyntax)
		}
		zr, err := zlib.NewReader(bytes.NewReader(st.raw))
		if err != nil {
			return nil, err
		}
		if out, err = io.ReadAll(io.LimitReader(zr, int64(maxPDFDecoded-f.decoded)+1)); err != nil {
			return nil, err
		}
	}
	if f.decoded += len(out); f.decoded > maxPDFDecoded {
		return nil, fmt.Errorf("%w: too much compressed data", errPDFSyntax)
	}
	pd, err := f.dict(parms)
	if err != nil {
		return nil, err
	}
	return unpredict(out, pd)
}

// unpredict undoes the PNG predictors (ISO 32000-1 §7.4.4.4) for one byte per column, the only form that
// cross-reference and object streams use.
func unpredict(b []byte, parms pdfDict) ([]byte, error) {
	p, ok := pdfInt(parms.get("Predictor"))
	if !ok || p == 1 {
		return b, nil
	}
	cols, ok := pdfInt(parms.get("Columns"))
	if !ok {
		cols = 1
	}
	if p < 10 || p > 15 || cols < 1 || cols > 1<<16 || len(b)%(cols+1) != 0 {
		return nil, fmt.Errorf("%w: unsupported predictor", errPDFSyntax)
	}
	out := make([]byte, 0, len(b))
	prev := make([]byte, cols)
	for ; len(b) > 0; b = b[cols+1:] {
		cur := slices.Clone(b[1 : cols+1])
		for i := range cur {
			var left, upLeft byte
			if i > 0 {
				left, upLeft = cur[i-1], prev[i-1]
			}
			switch b[0] {
			case 0:
			case 1:
				cur[i] += left
			case 2:
				cur[i] += prev[i]
			case 3:
				cur[i] += byte((int(left) + int(prev[i])) / 2) //nolint:gosec // a mean of bytes is a byte
			case 4:
				cur[i] += paeth(left, prev[i], upLeft)
			default:
				return nil, fmt.Errorf("%w: unknown predictor row", errPDFSyntax)
			}
		}
		out = append(out, cur...)
		prev = cur
	}
	return out, nil
}

func paeth(a, b, c byte) byte {
	abs := func(n int) int { return max(n, -n) }
	p := int(a) + int(b) - int(c)
	pa, pb, pc := abs(p-int(a)), abs(p-int(b)), abs(p-int(c))
	switch {
	case pa <= pb && pa <= pc:
		return a
	case pb <= pc:
		return b
	}
	return c
}
