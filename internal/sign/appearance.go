package sign

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"

	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/norm"

	"truc/internal/errs"
)

// Appearance draws a signature on a page. Text is drawn as a picture: it then looks the same in every reader
// and needs no font of the document, and Vietnamese letters keep their marks.
type Appearance struct {
	Page int        // from 1; -1 is the last
	Rect [4]float64 // left, bottom, right, top in points from the lower left corner of the page
	// Image is a PNG, transparent where the page shall show through: the blue handwriting of a person or the
	// red seal of an agency (Decree 30/2020/NĐ-CP App. I). It keeps its proportions; beside Lines it takes the left third.
	Image []byte
	Lines []string
	// FontTTF is the font of Lines; a letter it lacks is an error, not a box.
	FontTTF []byte
	// FontSize in points; 0 means 10. It shrinks to fit the rectangle.
	FontSize float64
	Ink      color.RGBA // zero is black
	Border   bool
	// Rotate is how readers turn the page, [PageView.Rotate]: the drawing is turned against it and stands upright.
	Rotate int
}

const (
	rasterScale  = 4        // pixels a point: 288 dpi
	maxRaster    = 16 << 20 // pixels
	defaultPoint = 10.0
	lineHeight   = 1.2
	boxMargin    = 3.0
)

// draw adds the form XObject of the appearance to the update.
func (a *Appearance) draw(u *pdfUpdate) (pdfRef, error) {
	w, h := a.Rect[2]-a.Rect[0], a.Rect[3]-a.Rect[1]
	if a.Rotate%180 != 0 {
		w, h = h, w
	}
	if !(w >= 1 && h >= 1 && w <= 14400 && h <= 14400 && w*h*rasterScale*rasterScale <= maxRaster) {
		return pdfRef{}, errs.E(errs.Invalid, "sign.appearance_rect", fmt.Errorf("rectangle %v", a.Rect))
	}
	var content bytes.Buffer
	var xobjects pdfDict
	if a.Border {
		fmt.Fprintf(&content, "q 0.5 w %.3f %.3f %.3f RG 0.25 0.25 %.2f %.2f re S Q\n", float64(a.Ink.R)/255, float64(a.Ink.G)/255, float64(a.Ink.B)/255, w-0.5, h-0.5)
	}
	left := 0.0
	if len(a.Image) > 0 {
		ref, iw, ih, err := addPNG(u, a.Image)
		if err != nil {
			return pdfRef{}, err
		}
		room := w
		if len(a.Lines) > 0 {
			room, left = w/3, w/3
		}
		scale := min(room/float64(iw), h/float64(ih))
		dw, dh := float64(iw)*scale, float64(ih)*scale
		fmt.Fprintf(&content, "q %.3f 0 0 %.3f %.3f %.3f cm /Im0 Do Q\n", dw, dh, (room-dw)/2, (h-dh)/2)
		xobjects = append(xobjects, pdfEntry{"Im0", ref})
	}
	if len(a.Lines) > 0 {
		mask, err := a.raster(w-left, h)
		if err != nil {
			return pdfRef{}, err
		}
		ref, err := a.addText(u, mask)
		if err != nil {
			return pdfRef{}, err
		}
		fmt.Fprintf(&content, "q %.3f 0 0 %.3f %.3f 0 cm /Im1 Do Q\n", w-left, h, left)
		xobjects = append(xobjects, pdfEntry{"Im1", ref})
	}
	return u.add(pdfStream{
		dict: pdfDict{
			{"Type", pdfName("XObject")},
			{"Subtype", pdfName("Form")},
			{"FormType", 1},
			{"BBox", pdfRect([4]float64{0, 0, w, h})},
			{"Matrix", pdfRaw(a.matrix())},
			{"Resources", pdfDict{{"XObject", xobjects}}},
		},
		raw: content.Bytes(),
	}), nil
}

// matrix turns the drawing counter-clockwise; readers then move it into the rectangle (ISO 32000-1 §12.5.5).
func (a *Appearance) matrix() string {
	switch a.Rotate {
	case 90:
		return "[0 1 -1 0 0 0]"
	case 180:
		return "[-1 0 0 -1 0 0]"
	case 270:
		return "[0 -1 1 0 0 0]"
	}
	return "[1 0 0 1 0 0]"
}

// raster draws the lines white on black: the opacity of the ink.
func (a *Appearance) raster(w, h float64) (*image.Alpha, error) {
	f, err := opentype.Parse(a.FontTTF)
	if err != nil {
		return nil, errs.E(errs.Internal, "sign.appearance_font", err)
	}
	lines := make([]string, len(a.Lines))
	var buf sfnt.Buffer
	for i, l := range a.Lines {
		lines[i] = norm.NFC.String(l) // decomposed letters are drawn with displaced marks
		for _, r := range lines[i] {
			if g, err := f.GlyphIndex(&buf, r); err != nil || g == 0 {
				return nil, errs.E(errs.Internal, "sign.appearance_font", fmt.Errorf("the font has no %q", r))
			}
		}
	}
	size := a.FontSize
	if size <= 0 {
		size = defaultPoint
	}
	size = min(size, (h-2*boxMargin)/(lineHeight*float64(len(lines))))
	if size < 1 {
		return nil, errs.E(errs.Invalid, "sign.appearance_rect", errors.New("no room for the text"))
	}
	face, err := newFace(f, size)
	if err != nil {
		return nil, err
	}
	defer face.Close() //nolint:errcheck // nothing is written
	widest := fixed.Int26_6(0)
	for _, l := range lines {
		widest = max(widest, font.MeasureString(face, l))
	}
	if room := (w - 2*boxMargin) * rasterScale; room > 0 && float64(widest)/64 > room {
		size *= room / (float64(widest) / 64)
		if face, err = newFace(f, size); err != nil {
			return nil, err
		}
		defer face.Close() //nolint:errcheck // nothing is written
	}
	img := image.NewAlpha(image.Rect(0, 0, int(w*rasterScale), int(h*rasterScale)))
	step := size * lineHeight * rasterScale
	top := (h*rasterScale - step*float64(len(lines))) / 2
	ascent := float64(face.Metrics().Ascent) / 64
	for i, l := range lines {
		d := font.Drawer{Dst: img, Src: image.Opaque, Face: face, Dot: fixed.Point26_6{
			X: fixed.Int26_6(boxMargin * rasterScale * 64), Y: fixed.Int26_6((top + float64(i)*step + ascent) * 64),
		}}
		d.DrawString(l)
	}
	return img, nil
}

func newFace(f *opentype.Font, size float64) (font.Face, error) {
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: size * rasterScale, DPI: 72})
	if err != nil {
		return nil, errs.E(errs.Internal, "sign.appearance_font", err)
	}
	return face, nil
}

// addText adds an image of one colour whose soft mask is the text.
func (a *Appearance) addText(u *pdfUpdate, mask *image.Alpha) (pdfRef, error) {
	w, h := mask.Rect.Dx(), mask.Rect.Dy()
	alpha, err := deflate(mask.Pix)
	if err != nil {
		return pdfRef{}, err
	}
	smask := u.add(pdfImage(w, h, pdfName("DeviceGray"), 8, alpha))
	plain, err := deflate(make([]byte, (w+7)/8*h)) // one bit a pixel, all index 0
	if err != nil {
		return pdfRef{}, err
	}
	palette := pdfArray{pdfName("Indexed"), pdfName("DeviceRGB"), 0, pdfStr{a.Ink.R, a.Ink.G, a.Ink.B}}
	img := pdfImage(w, h, palette, 1, plain)
	img.dict = append(img.dict, pdfEntry{"SMask", smask})
	return u.add(img), nil
}

func pdfImage(w, h int, space any, bits int, raw []byte) pdfStream {
	return pdfStream{
		dict: pdfDict{
			{"Type", pdfName("XObject")},
			{"Subtype", pdfName("Image")},
			{"Width", w},
			{"Height", h},
			{"ColorSpace", space},
			{"BitsPerComponent", bits},
			{"Filter", pdfName("FlateDecode")},
		},
		raw: raw,
	}
}

// addPNG adds a picture with its transparency as a soft mask and returns its size in pixels.
func addPNG(u *pdfUpdate, b []byte) (ref pdfRef, w, h int, err error) {
	cfg, err := png.DecodeConfig(bytes.NewReader(b))
	if err == nil && (cfg.Width < 1 || cfg.Height < 1 || cfg.Width*cfg.Height > maxRaster) {
		err = fmt.Errorf("%d × %d pixels", cfg.Width, cfg.Height)
	}
	if err != nil {
		return ref, 0, 0, errs.E(errs.Invalid, "sign.appearance_image", err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		return ref, 0, 0, errs.E(errs.Invalid, "sign.appearance_image", err)
	}
	r := img.Bounds()
	rgb, alpha := make([]byte, 0, 3*r.Dx()*r.Dy()), make([]byte, 0, r.Dx()*r.Dy())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			rgb, alpha = append(rgb, c.R, c.G, c.B), append(alpha, c.A)
		}
	}
	if rgb, err = deflate(rgb); err != nil {
		return ref, 0, 0, err
	}
	if alpha, err = deflate(alpha); err != nil {
		return ref, 0, 0, err
	}
	st := pdfImage(r.Dx(), r.Dy(), pdfName("DeviceRGB"), 8, rgb)
	st.dict = append(st.dict, pdfEntry{"SMask", u.add(pdfImage(r.Dx(), r.Dy(), pdfName("DeviceGray"), 8, alpha))})
	return u.add(st), r.Dx(), r.Dy(), nil
}

func deflate(b []byte) ([]byte, error) {
	var buf bytes.Buffer
	zw := zlib.NewWriter(&buf)
	if _, err := zw.Write(b); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
