package paper

import (
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/pdfdoc"
)

// Date is a day without a clock. The zero Date is one that is not known yet: drafts leave blanks for it.
type Date struct{ Year, Month, Day int }

// IsZero reports whether the day is not known.
func (d Date) IsZero() bool { return d == Date{} }

// Urgency is the level of urgency as Article 8 knows it (position 10b).
type Urgency int

// The levels of urgency.
const (
	Ordinary   Urgency = iota
	Urgent             // "KHẨN"
	VeryUrgent         // "THƯỢNG KHẨN"
	Flash              // "HỎA TỐC"
	FlashAt            // "HỎA TỐC HẸN GIỜ", which practice has and the decree has not
)

// mark is what the stamp says and its size in mm (Appendix I, part I, section III.2b).
func (u Urgency) mark() (text string, w, h float64) {
	switch u {
	case Ordinary:
	case Urgent:
		return "KHẨN", 20, 8
	case VeryUrgent:
		return "THƯỢNG KHẨN", 40, 8
	case Flash:
		return "HỎA TỐC", 30, 8
	case FlashAt:
		return "HỎA TỐC HẸN GIỜ", 50, 8
	}
	return "", 0, 0
}

// Paper is an official document as text. Numbers in comments are positions of Appendix I. Text may be in any Unicode
// form; it is set in NFC.
//
// Secrecy (position 10a) is absent on purpose: documents with a state secret are not made in this system.
type Paper struct {
	Superior string // 2, upper line: the superior agency, "" when there is none
	Agency   string // 2, lower line: the agency that issues
	Number   string // 3, "08"; "" leaves a blank for a number that is not taken yet
	Notation string // 3, "SM-VP"
	Place    string // 4
	Date     Date   // 4
	// TypeName is the name of the type, 5a: "Quyết định". "" or "Công văn" is an official letter, whose Subject stands
	// below its number, 5b.
	TypeName  string
	Subject   string   // 5a, 5b
	Receivers []string // 9a, "Kính gửi"
	Body      string   // 6; see [Typeset] for its marks
	// Competence is the right by which one signs, 7a: "TM. ỦY BAN NHÂN DÂN", "KT. CHỦ TỊCH". Lines are parted by line feeds.
	Competence string
	Position   string   // 7a: "PHÓ CHỦ TỊCH"
	Signer     string   // 7b
	ToPlaces   []string // 9b, "Nơi nhận", without dashes
	Urgency    Urgency  // 10b
	// Circulation limits who may see it, 11: "LƯU HÀNH NỘI BỘ", "XEM XONG TRẢ LẠI".
	Circulation string
	// DrafterMark and Copies, 12: initials of the drafter and the number of copies, after the last line of 9b.
	DrafterMark string
	Copies      int
	Address     string // 13: address, telephone, e-mail, at the foot of the first page
	Appendixes  []Appendix

	Draft  bool // watermark "DỰ THẢO" on each page
	Layout Layout
	Now    time.Time // of the making, for the file's properties
}

// Appendix is an appendix in the same file. It is not signed apart (Appendix I, part I, section III.1d).
type Appendix struct{ Title, Body string }

// Layout are the choices that Appendix I leaves, in mm and points; zero values are the defaults. What lies outside of the
// decree's bounds is brought inside.
type Layout struct {
	Top, Bottom float64 // 20 to 25, default 20
	Left        float64 // 30 to 35, default 30
	Right       float64 // 15 to 20, default 20
	Body        float64 // 13 to 14 points, default 14
	Indent      float64 // of the first line, 10 to 12.7, default 12.7
}

func (l Layout) settled() Layout {
	within := func(v, least, most, def float64) float64 {
		if v == 0 {
			return def
		}
		return min(max(v, least), most)
	}
	return Layout{
		Top: within(l.Top, 20, 25, 20), Bottom: within(l.Bottom, 20, 25, 20), Left: within(l.Left, 30, 35, 30),
		Right: within(l.Right, 15, 20, 20), Body: within(l.Body, 13, 14, 14), Indent: within(l.Indent, 10, 12.7, 12.7),
	}
}

// Typeset is a document in its form.
type Typeset struct {
	PDF   []byte
	Pages int
	Boxes Boxes
	// Missing are characters that the font lacks; each was drawn as □. A document with such characters should not be signed.
	Missing []rune
}

// MaxText bounds all text of a document in bytes, MaxPages its pages.
const (
	MaxText  = 4 << 20
	MaxPages = 1000
)

// setter sets one document.
type setter struct {
	press
	p     *Paper
	boxes Boxes
}

const (
	letterType = "công văn"
	pageWidth  = 210.0
	pageHeight = 297.0
)

// IsLetter reports whether the document is an official letter ("công văn"), which has no type on it.
func (p *Paper) IsLetter() bool {
	name := strings.TrimSpace(p.TypeName)
	return name == "" || i18n.Fold(name) == i18n.Fold(letterType)
}

// Set lays a document out.
//
// The body is text of one paragraph a line. A line "# X" is a heading in the middle; "Phần", "Chương", "Mục" with a number
// and nothing else, and a short line in capitals that ends with a colon, are headings by themselves. "Điều 3." is bold. The
// legal grounds that begin a document with a type ("Căn cứ …") are italic. **Two asterisks** make bold, __two underlines__
// italic. Lines that begin with "|" are the rows of a table, their cells parted by "|"; a row of dashes below the first
// makes that the head.
//
// Errors: [errs.TooLarge] for more text or pages than [MaxText] and [MaxPages]; [errs.Invalid] with paper.head_long or
// paper.signature_long for names that fill a page by themselves.
func Set(p Paper) (Typeset, error) {
	if size(&p) > MaxText {
		return Typeset{}, errs.E(errs.TooLarge, "pdfdoc.too_large", nil)
	}
	s, err := pdfdoc.NewSheet(pageWidth, pageHeight, MaxPages)
	if err != nil {
		return Typeset{}, err
	}
	w := &setter{press: press{s: s, wide: pageWidth, high: pageHeight, l: p.Layout.settled()}, p: &p}
	if p.Draft {
		w.mark = "DỰ THẢO"
	}
	if err := w.main(); err != nil {
		return Typeset{}, err
	}
	for i := range p.Appendixes {
		if err := w.appendix(i); err != nil {
			return Typeset{}, err
		}
	}
	title := strings.TrimSpace(p.Subject)
	if !p.IsLetter() {
		title = strings.TrimSpace(p.TypeName + " " + title)
	}
	doc, err := s.Finish(pdfdoc.Options{Title: title, Author: p.Agency, Subject: code(&p), Creator: "Truc", Now: p.Now})
	if err != nil {
		return Typeset{}, err
	}
	return Typeset{PDF: doc.PDF, Pages: doc.Pages, Boxes: w.boxes, Missing: doc.Missing}, nil
}

func size(p *Paper) int {
	n := len(p.Superior) + len(p.Agency) + len(p.Number) + len(p.Notation) + len(p.Place) + len(p.TypeName) + len(p.Subject) + len(p.Body) +
		len(p.Competence) + len(p.Position) + len(p.Signer) + len(p.Circulation) + len(p.DrafterMark) + len(p.Address)
	for _, list := range [][]string{p.Receivers, p.ToPlaces} {
		for _, s := range list {
			n += len(s) + 1
		}
	}
	for _, a := range p.Appendixes {
		n += len(a.Title) + len(a.Body) + 1
	}
	return n
}

// code is number and notation as they are cited: "08/SM-VP".
func code(p *Paper) string {
	if p.Number == "" {
		return p.Notation
	}
	if p.Notation == "" {
		return p.Number
	}
	return p.Number + "/" + p.Notation
}
