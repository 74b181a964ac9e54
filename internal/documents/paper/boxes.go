package paper

import (
	"truc/internal/pdfdoc"
)

// Box is a rectangle on a page in PDF points from the lower left corner. Page counts from 1; 0 is no box.
type Box struct {
	Page       int
	X, Y, W, H float64
}

// Boxes are the places where a document is signed.
//
// The agency's seal covers the left third of the picture of the person's signature (Appendix I, part II.8). So that this
// holds for a picture and a seal of any shape, both hang on one line: a third of [Boxes.Person] from its left is a third of
// the picture, and the right edge of [Boxes.Seal].
type Boxes struct {
	Person Box // position 7c, between title and name
	Seal   Box // position 8, for a seal of [SealSize]
}

const (
	// signHeight is the room between title and name in mm.
	signHeight = 30.0
	// handWidth and handHeight bound the picture of a person's signature in mm.
	handWidth, handHeight = 48.0, 26.0
	// SealSize is the usual diameter of an agency's seal in mm; its picture is shown in real size.
	SealSize = 36.0

	pointsPerMM = 72 / 25.4
)

// places are the boxes in a room that begins at x, y on the current page and is so wide.
func (w *press) places(x, y, width float64) Boxes {
	hx, hy := x+(width-handWidth)/2, y+(signHeight-handHeight)/2
	third := hx + handWidth/3
	return Boxes{
		Person: box(w.s.Box(hx, hy, handWidth, handHeight)),
		Seal:   box(w.s.Box(third-SealSize, y+(signHeight-SealSize)/2, SealSize, SealSize)),
	}
}

func box(b pdfdoc.Box) Box { return Box(b) }
