package sign

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
)

// pdfUpdate collects the objects of one incremental update (ISO 32000-1 §7.5.6). The bytes of the file before it
// are never touched.
type pdfUpdate struct {
	f    *pdfFile
	next int
	objs []pdfNewObject
}

type pdfNewObject struct {
	ref pdfRef
	val any
}

func newPDFUpdate(f *pdfFile) *pdfUpdate { return &pdfUpdate{f: f, next: max(f.size, 1)} }

// reserve takes an object number for something that is set later.
func (u *pdfUpdate) reserve() pdfRef {
	u.next++
	return pdfRef{num: u.next - 1}
}

func (u *pdfUpdate) add(v any) pdfRef {
	ref := u.reserve()
	u.set(ref, v)
	return ref
}

// set gives an object, new or existing, a new value.
func (u *pdfUpdate) set(ref pdfRef, v any) {
	for i, o := range u.objs {
		if o.ref.num == ref.num {
			u.objs[i].val = v
			return
		}
	}
	u.objs = append(u.objs, pdfNewObject{ref, v})
}

// write returns the file with the update and where each new object begins. The cross-reference section has
// the form of the newest one in the file, since mixing them is not allowed.
func (u *pdfUpdate) write() (out []byte, offsets map[int]int) {
	out = make([]byte, len(u.f.data), len(u.f.data)+64<<10)
	copy(out, u.f.data)
	if n := len(out); out[n-1] != '\n' && out[n-1] != '\r' {
		out = append(out, '\n')
	}
	slices.SortFunc(u.objs, func(a, b pdfNewObject) int { return cmp.Compare(a.ref.num, b.ref.num) })
	offsets = map[int]int{}
	for _, o := range u.objs {
		offsets[o.ref.num] = len(out)
		out = fmt.Appendf(out, "%d %d obj\n", o.ref.num, o.ref.gen)
		out = appendPDF(out, o.val)
		out = append(out, "\nendobj\n"...)
	}
	trailer := u.trailer(out)
	start := len(out)
	if u.f.streams {
		out = u.appendXrefStream(out, trailer, offsets)
	} else {
		out = u.appendXrefTable(out, trailer, offsets)
	}
	return fmt.Appendf(out, "startxref\n%d\n%%%%EOF\n", start), offsets
}

// trailer keeps what later readers need of the newest trailer.
func (u *pdfUpdate) trailer(out []byte) pdfDict {
	t := pdfDict{{"Size", u.next}, {"Prev", u.f.start}, {"Root", u.f.trailer.get("Root")}}
	if info := u.f.trailer.get("Info"); info != nil {
		t = append(t, pdfEntry{"Info", info})
	}
	// The first half of the file identifier stays, the second names this version (ISO 32000-1 §14.4).
	if id, err := u.f.array(u.f.trailer.get("ID")); err == nil && len(id) == 2 {
		sum := sha256.Sum256(out[len(u.f.data):])
		t = append(t, pdfEntry{"ID", pdfArray{id[0], pdfStr(sum[:16])}})
	}
	return t
}

// runs groups the numbers of the update into runs of consecutive ones.
func (u *pdfUpdate) runs(extra ...pdfNewObject) [][]pdfNewObject {
	var runs [][]pdfNewObject
	for _, o := range slices.Concat(u.objs, extra) {
		if n := len(runs) - 1; n >= 0 && runs[n][len(runs[n])-1].ref.num+1 == o.ref.num {
			runs[n] = append(runs[n], o)
		} else {
			runs = append(runs, []pdfNewObject{o})
		}
	}
	return runs
}

func (u *pdfUpdate) appendXrefTable(out []byte, trailer pdfDict, offsets map[int]int) []byte {
	out = append(out, "xref\n"...)
	for _, run := range u.runs() {
		out = fmt.Appendf(out, "%d %d\n", run[0].ref.num, len(run))
		for _, o := range run {
			out = fmt.Appendf(out, "%010d %05d n \n", offsets[o.ref.num], o.ref.gen)
		}
	}
	out = append(out, "trailer\n"...)
	return append(appendPDF(out, trailer), '\n')
}

func (u *pdfUpdate) appendXrefStream(out []byte, trailer pdfDict, offsets map[int]int) []byte {
	self := pdfRef{num: u.next} // its own entry belongs to it too
	offsets[self.num] = len(out)
	var rows bytes.Buffer
	index := pdfArray{}
	for _, run := range u.runs(pdfNewObject{ref: self}) {
		index = append(index, run[0].ref.num, len(run))
		for _, o := range run {
			off := offsets[o.ref.num]
			rows.Write([]byte{1, byte(off >> 32), byte(off >> 24), byte(off >> 16), byte(off >> 8), byte(off), byte(o.ref.gen >> 8), byte(o.ref.gen)}) //nolint:gosec // byte by byte
		}
	}
	d := slices.Concat(pdfDict{{"Type", pdfName("XRef")}, {"W", pdfArray{1, 5, 2}}, {"Index", index}}, trailer.with("Size", u.next+1))
	out = fmt.Appendf(out, "%d 0 obj\n", self.num)
	out = appendPDF(out, pdfStream{dict: d, raw: rows.Bytes()})
	return append(out, "\nendobj\n"...)
}
