package sign

import (
	"fmt"
	"math"
	"strconv"

	"truc/internal/errs"
)

// PageView is the part of a page that readers show.
type PageView struct {
	// Box is left, bottom, right, top in points, before turning.
	Box [4]float64
	// Rotate is by how many degrees clockwise readers turn the page: 0, 90, 180 or 270.
	Rotate int
}

// Size is the width and height of the page as people see it.
func (v PageView) Size() (width, height float64) {
	w, h := v.Box[2]-v.Box[0], v.Box[3]-v.Box[1]
	if v.Rotate%180 != 0 {
		return h, w
	}
	return w, h
}

// Place turns a rectangle that people see, measured from the lower left corner of the page as it is shown, into what
// [Appearance] wants: the rectangle on the page before turning.
func (v PageView) Place(rect [4]float64) [4]float64 {
	l, b, r, t := rect[0], rect[1], rect[2], rect[3]
	switch v.Rotate {
	case 90:
		return [4]float64{v.Box[2] - t, v.Box[1] + l, v.Box[2] - b, v.Box[1] + r}
	case 180:
		return [4]float64{v.Box[2] - r, v.Box[3] - t, v.Box[2] - l, v.Box[3] - b}
	case 270:
		return [4]float64{v.Box[0] + b, v.Box[3] - r, v.Box[0] + t, v.Box[3] - l}
	}
	return [4]float64{v.Box[0] + l, v.Box[1] + b, v.Box[0] + r, v.Box[1] + t}
}

// ViewPage finds how a page of a PDF is shown; page counts from 1, -1 is the last. Errors are those of [SignPDF].
func ViewPage(pdf []byte, page int) (PageView, error) {
	f, err := openPDF(pdf)
	if err != nil {
		return PageView{}, err
	}
	_, d, err := f.page(page)
	if err != nil {
		return PageView{}, pdfFault(err)
	}
	v, err := f.view(d)
	if err != nil {
		return PageView{}, pdfFault(err)
	}
	return v, nil
}

func (f *pdfFile) view(page pdfDict) (PageView, error) {
	media, ok, err := f.inheritedBox(page, "MediaBox")
	if err != nil {
		return PageView{}, err
	}
	if !ok {
		media = [4]float64{0, 0, 612, 792} // what readers take; the entry is required
	}
	v := PageView{Box: media}
	crop, ok, err := f.inheritedBox(page, "CropBox")
	if err != nil {
		return PageView{}, err
	}
	if ok { // what lies outside of the page is not shown (ISO 32000-1 §14.11.2.1)
		crop = [4]float64{max(crop[0], media[0]), max(crop[1], media[1]), min(crop[2], media[2]), min(crop[3], media[3])}
		if crop[2] > crop[0] && crop[3] > crop[1] {
			v.Box = crop
		}
	}
	turn, err := f.inherited(page, "Rotate")
	if err != nil {
		return PageView{}, err
	}
	if n, ok := pdfNumber(turn); ok && math.Mod(n, 90) == 0 {
		v.Rotate = (int(math.Mod(n, 360))%360 + 360) % 360
	}
	return v, nil
}

// inherited looks an attribute of a page up in the page and then in the nodes above it (ISO 32000-1 §7.7.3.4).
func (f *pdfFile) inherited(d pdfDict, key pdfName) (any, error) {
	for range maxPDFDepth {
		v, err := f.resolve(d.get(key))
		if err != nil || v != nil && v != pdfRaw("null") {
			return v, err
		}
		parent := d.get("Parent")
		if parent == nil {
			return nil, nil
		}
		if d, err = f.dict(parent); err != nil || d == nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: page tree too deep", errPDFSyntax)
}

func (f *pdfFile) inheritedBox(d pdfDict, key pdfName) (box [4]float64, ok bool, err error) {
	v, err := f.inherited(d, key)
	if err != nil {
		return box, false, err
	}
	a, isArray := v.(pdfArray)
	if !isArray || len(a) != 4 {
		return box, false, nil
	}
	for i := range a {
		n, err := f.resolve(a[i])
		if err != nil {
			return box, false, err
		}
		if box[i], ok = pdfNumber(n); !ok {
			return box, false, nil
		}
	}
	// Any two opposite corners may be given.
	box = [4]float64{min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])}
	if box[2]-box[0] < 1 || box[3]-box[1] < 1 {
		return box, false, errs.E(errs.Invalid, "sign.pdf_broken", fmt.Errorf("page of %v", box))
	}
	return box, true, nil
}

func pdfNumber(v any) (float64, bool) {
	r, ok := v.(pdfRaw)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseFloat(string(r), 64)
	return n, err == nil && math.Abs(n) < 1e6
}
