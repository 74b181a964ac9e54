package audit

import (
	"archive/zip"
	"bytes"
	"context"
	_ "embed"
	"encoding/hex"
	"fmt"
	"strings"

	"truc/internal/errs"
)

// The members of a receipt.
const (
	recordsName = "records.json"
	saltsName   = "salts.json"
	vkeysName   = "vkeys.txt"
	readmeName  = "README.txt"
)

//go:embed receipt_readme.txt
var receiptReadme string

func proofName(i int) string { return fmt.Sprintf("line-%04d.tlog-proof", i+1) }

// Receipt returns a zip file by which the person, or a court, can check offline that the line is in the log. It
// is given for the subject's own line only; any other is errs.NotFound, and so is a withheld one.
func (s *Service) Receipt(ctx context.Context, subjectID, lineID string) (_ []byte, err error) {
	defer errs.Wrap(&err, "receipt")
	seq, ok := parseLineID(lineID)
	if !ok || !ValidSubject(subjectID) {
		return nil, errs.E(errs.NotFound, "audit.line_unknown", nil)
	}
	l, err := s.Store.Line(ctx, subjectID, seq)
	if err != nil {
		return nil, err
	}
	if l.Hidden && (l.HiddenUntil.IsZero() || l.HiddenUntil.After(s.Now())) {
		return nil, errs.E(errs.NotFound, "audit.line_unknown", nil)
	}
	if l.Elsewhere {
		return nil, errs.E(errs.Unavailable, "audit.other_process", nil)
	}
	index := s.place(l)
	if index < 0 {
		return nil, errs.E(errs.Unavailable, "audit.not_yet_logged", nil)
	}
	proof, err := s.Log.ReceiptExtra(index, l.Leaf)
	if err != nil {
		return nil, errs.E(errs.Unavailable, "audit.no_proof", err)
	}
	return packReceipt([]packedLine{{record: l.Record, salt: l.Salt, proof: proof}}, s.Log.VerifierKey())
}

type packedLine struct {
	record []byte
	salt   [16]byte
	proof  []byte
}

func packReceipt(lines []packedLine, vkey string) ([]byte, error) {
	var records, salts []string
	for _, l := range lines {
		records = append(records, string(l.record))
		salts = append(salts, `"`+hex.EncodeToString(l.salt[:])+`"`)
	}
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	add := func(name, content string) error {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(content))
		}
		return err
	}
	members := [][2]string{
		{readmeName, receiptReadme},
		{recordsName, joinArray(records)},
		{saltsName, joinArray(salts)},
		{vkeysName, "log " + vkey + "\nquorum none\n"}, // C2SP tlog-policy
	}
	for i, l := range lines {
		members = append(members, [2]string{proofName(i), string(l.proof)})
	}
	for _, m := range members {
		if err := add(m[0], m[1]); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// joinArray is the one spelling of a JSON array that verifiers accept: canonical elements, one a line.
func joinArray(elements []string) string { return "[\n" + strings.Join(elements, ",\n") + "\n]\n" }
