package app

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"truc/internal/documents"
	"truc/internal/documents/paper"
	"truc/internal/errs"
)

// printWord writes a document as DOCX: into the template of its type, templates/<type>.docx in the data folder with the
// letters of the type without accents ("qd.docx", "cv.docx"), else into templates/document.docx, else in the decree's form.
func (n *Node) printWord(p documents.Paper) (paper.File, error) {
	for _, name := range []string{paper.FileStem(p.Type.Code), "document"} {
		b, err := readBounded(filepath.Join(n.path("templates"), name+".docx"), paper.MaxTemplate)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return paper.File{}, err
		}
		return paper.Word(p, b, n.now())
	}
	return paper.Word(p, nil, n.now())
}

// readBounded reads a file that an operator put there, up to a size.
func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = errs.E(errs.TooLarge, "paper.template_large", nil)
	}
	return b, err
}
