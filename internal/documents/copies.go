package documents

import (
	"bytes"
	"context"
	"slices"
	"time"

	"truc/internal/errs"
)

// CopyKind is a kind of electronic copy (Decree 30/2020/NĐ-CP, article 25): the letters that begin its notation.
type CopyKind string

// The kinds that a desk makes. An extract ("trích sao") is another document than its original and is drafted like one.
const (
	CopyWhole  CopyKind = "SY" // sao y: of an original
	CopyOfCopy CopyKind = "SL" // sao lục: of a copy
)

// copyNumbers are numbers of copies: one series a year for all kinds, apart from those of documents (appendix I, part II).
const copyNumbers Direction = "copy"

const copySeries = "SAO"

// MadeCopy is a copy that the desk made of a document.
type MadeCopy struct {
	Kind CopyKind
	Code Code
	File File
	At   time.Time
	By   string
}

// Copy makes an electronic copy of a document: the agency's signature with the kind of copy, the agency and the time in the
// top right corner of its first page, and no image (Decree 30/2020/NĐ-CP, appendix I, part II). Only a clerk does it.
func (d *Desk) Copy(ctx context.Context, by Actor, id string, kind CopyKind) (MadeCopy, error) {
	o, err := d.need(by, RoleClerk)
	if err != nil {
		return MadeCopy{}, err
	}
	if kind != CopyWhole && kind != CopyOfCopy {
		return MadeCopy{}, errs.E(errs.Invalid, "documents.copy_unknown", nil)
	}
	s, _, err := d.find(ctx, by, id, "")
	if err != nil {
		return MadeCopy{}, err
	}
	source, err := copied(id, s)
	if err != nil {
		return MadeCopy{}, err
	}
	pdf, err := d.blob(source.SHA256, maxPDF)
	if err != nil {
		return MadeCopy{}, err
	}
	signed, err := d.Signatures.Copy(ctx, CopySignature{PDF: pdf, Kind: kind, Office: o.Code, OfficeName: o.Name, Clerk: by.Account})
	if err != nil {
		return MadeCopy{}, err
	}
	b, err := d.Blobs.Put(bytes.NewReader(signed))
	if err != nil {
		return MadeCopy{}, err
	}
	made := MadeCopy{Kind: kind, At: d.now(), By: by.Name}
	return made, d.change(ctx, id, s.Row.Version, "documents.copy", func(tx Tx, s Stored) ([]Event, error) {
		if _, err := copied(id, s); err != nil {
			return nil, err
		}
		made.Code.Notation = string(kind) + "-" + o.Letters
		n, err := tx.TakeNumber(ctx, Number{Office: o.Code, Direction: copyNumbers, Year: yearOf(made.At), Series: copySeries, Notation: made.Code.Notation, Document: id, At: made.At})
		if err != nil {
			return nil, err
		}
		made.Code.Number = FormatNumber(n)
		made.File = File{ID: newID(), Name: fileName(made.Code), Media: "application/pdf", SHA256: b.SHA256, Size: b.Size}
		return []Event{d.event(by, EvCopied, EventData{File: &made.File, Code: &made.Code, N: n, Series: string(kind)})}, nil
	})
}

// copied is the file of a document that a copy is made of: what was issued, or what was accepted.
func copied(id string, s Stored) (File, error) {
	if s.Row.Direction == Out {
		o := foldOutgoing(id, s.Events)
		if o.Main == nil || o.State != Issued && o.State != Sent {
			return File{}, errState(o.State)
		}
		return *o.Main, nil
	}
	in := foldIncoming(id, s.Events)
	if !slices.Contains([]State{Accepted, Assigned, Working, Done}, in.State) {
		return File{}, errState(in.State)
	}
	i := slices.IndexFunc(in.Files, func(f File) bool { return extension(f.Name) == "pdf" && !f.Lies })
	if i < 0 {
		return File{}, errs.E(errs.Invalid, "documents.copy_no_pdf", nil)
	}
	return in.Files[i], nil
}

// Copies are those that the desk made of a document, oldest first.
func Copies(events []Event) []MadeCopy {
	var out []MadeCopy
	for _, e := range events {
		if e.Type == EvCopied && e.Data.File != nil && e.Data.Code != nil {
			out = append(out, MadeCopy{Kind: CopyKind(e.Data.Series), Code: *e.Data.Code, File: *e.Data.File, At: e.At, By: e.ActorName})
		}
	}
	return out
}
