package audit

import (
	"archive/zip"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/translog"
)

// The limits of a receipt, so that a file made to harm does no harm.
const (
	maxReceiptZip   = 4 << 20
	maxReceiptTotal = 16 << 20 // unpacked
	maxReceiptFile  = 8 << 20
	maxReceiptLines = 200
)

// VerifyOptions say whom the verifier trusts.
type VerifyOptions struct {
	// TrustedVKeys are public keys of logs, from a source other than the receipt.
	TrustedVKeys []string
}

// Report says what a receipt proves.
type Report struct {
	// Origin names the log, TreeSize is how many entries it had when it signed, VKey is the key it signed with.
	Origin   string
	TreeSize int64
	VKey     string
	// KeyTrusted is true when VKey is one of the trusted keys. Otherwise the receipt only agrees with itself:
	// anybody could have made it.
	KeyTrusted bool
	Lines      []ProvenLine
	// Statements say the result in words.
	Statements []Statement
}

// ProvenLine is one access that the receipt proves.
type ProvenLine struct {
	Time                                                      time.Time
	Agency, AgencyName, Subsystem, Register, Purpose, Dossier string
	LegalBasis                                                string
	Fields                                                    []string
	Kind                                                      Kind
	Index                                                     int64
}

// Statement is a sentence of a report: a message key and its arguments.
type Statement struct {
	Key  string
	Args []any
}

func invalid(key string, err error) error { return errs.E(errs.Invalid, key, err) }

// VerifyReceipt checks a receipt offline. Its errors are errs.Invalid, with a key that says which part failed.
func VerifyReceipt(b []byte, opt VerifyOptions) (Report, error) {
	files, err := unpackReceipt(b)
	if err != nil {
		return Report{}, invalid("audit.receipt_unreadable", err)
	}
	records, accesses, err := parseRecords(files[recordsName])
	if err != nil {
		return Report{}, invalid("audit.receipt_unreadable", err)
	}
	salts, err := parseSalts(files[saltsName])
	if err != nil || len(salts) != len(records) {
		return Report{}, invalid("audit.receipt_unreadable", errors.Join(err, errors.New("one salt for each record")))
	}
	vkey, err := parseVKeys(files[vkeysName])
	if err != nil {
		return Report{}, invalid("audit.receipt_unreadable", err)
	}
	if len(files) != 4+len(records) {
		return Report{}, invalid("audit.receipt_unreadable", errors.New("one proof for each record"))
	}
	rep := Report{VKey: vkey, KeyTrusted: slices.Contains(opt.TrustedVKeys, vkey)}
	for i, record := range records {
		v, err := verifyLine(record, accesses[i], salts[i], files[proofName(i)], vkey)
		if err != nil {
			return Report{}, err
		}
		rep.Origin, rep.TreeSize = v.Origin, max(rep.TreeSize, v.Size)
		a := accesses[i]
		purpose := a.Purpose
		if a.Text != "" {
			purpose = a.Text
		}
		rep.Lines = append(rep.Lines, ProvenLine{
			Time: a.At, Agency: a.Agency, AgencyName: a.AgencyName, Subsystem: a.Subsystem, Register: a.Register, Purpose: purpose,
			Dossier: a.Dossier, LegalBasis: a.LegalBasis, Fields: a.Fields, Kind: a.Kind, Index: v.Index,
		})
	}
	rep.Statements = statements(rep)
	return rep, nil
}

func statements(r Report) []Statement {
	st := []Statement{
		{Key: "audit.proven_unchanged", Args: []any{"count", len(r.Lines)}},
		{Key: "audit.proven_in_log", Args: []any{"origin", r.Origin, "size", r.TreeSize}},
	}
	if r.KeyTrusted {
		st = append(st, Statement{Key: "audit.key_trusted", Args: []any{"key", r.VKey}})
	} else {
		st = append(st, Statement{Key: "audit.key_untrusted", Args: []any{"key", r.VKey}})
	}
	return append(st, Statement{Key: "audit.not_proven_complete"})
}

// verifyLine checks record → commitment → leaf → tree → signature.
func verifyLine(record []byte, a Access, salt [16]byte, proof []byte, vkey string) (v translog.Verified, err error) {
	r, err := translog.ParseReceipt(proof)
	if err != nil {
		return v, invalid("audit.receipt_unreadable", err)
	}
	leaf, err := ParseLeaf(r.Extra)
	if err != nil {
		return v, invalid("audit.receipt_unreadable", err)
	}
	if leaf.Commit != commitment(salt, record) {
		return v, invalid("audit.receipt_changed", errors.New("the record is not the one committed to"))
	}
	if !leaf.Time.Equal(a.At) || leaf.Kind != a.Kind {
		return v, invalid("audit.receipt_changed", errors.New("record and leaf disagree"))
	}
	if v, err = r.Verify(r.Extra, vkey); err != nil {
		return v, invalid("audit.receipt_not_in_log", err)
	}
	return v, nil
}

// unpackReceipt reads a zip file whose members are exactly those of a receipt, believing no size it states.
func unpackReceipt(b []byte) (map[string][]byte, error) {
	if len(b) > maxReceiptZip {
		return nil, errors.New("too long")
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	if len(z.File) < 5 || len(z.File) > 4+maxReceiptLines {
		return nil, errors.New("wrong number of files")
	}
	allowed := map[string]bool{recordsName: true, saltsName: true, vkeysName: true, readmeName: true}
	for i := range len(z.File) - 4 {
		allowed[proofName(i)] = true
	}
	files := map[string][]byte{}
	total := 0
	for _, f := range z.File {
		if !allowed[f.Name] {
			return nil, errors.New("a file that does not belong, or twice")
		}
		delete(allowed, f.Name)
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(io.LimitReader(r, maxReceiptFile+1))
		_ = r.Close()
		if err != nil {
			return nil, err
		}
		if total += len(content); len(content) > maxReceiptFile || total > maxReceiptTotal {
			return nil, errors.New("too long when unpacked")
		}
		files[f.Name] = content
	}
	return files, nil
}

// parseRecords reads records.json, which must be spelled exactly as packReceipt spells it: then there is no
// question which bytes were committed to, and no room for a second reading of the same file.
func parseRecords(b []byte) (records [][]byte, accesses []Access, err error) {
	var raw []map[string]any
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, nil, err
	}
	if len(raw) == 0 || len(raw) > maxReceiptLines {
		return nil, nil, errors.New("number of records")
	}
	texts := make([]string, len(raw))
	for i, m := range raw {
		record, err := canonical(m)
		if err != nil {
			return nil, nil, err
		}
		a, err := parseRecord(record)
		if err != nil {
			return nil, nil, err
		}
		if again, err := a.record(); err != nil || !bytes.Equal(again, record) {
			return nil, nil, fmt.Errorf("record %d has other fields than an access", i)
		}
		texts[i], records, accesses = string(record), append(records, record), append(accesses, a)
	}
	if joinArray(texts) != string(b) {
		return nil, nil, errors.New("records.json is not in canonical form")
	}
	return records, accesses, nil
}

func parseSalts(b []byte) (salts [][16]byte, err error) {
	var texts []string
	if err := json.Unmarshal(b, &texts); err != nil {
		return nil, err
	}
	quoted := make([]string, len(texts))
	for i, t := range texts {
		salt, err := hex.DecodeString(t)
		if err != nil || len(salt) != 16 || hex.EncodeToString(salt) != t {
			return nil, errors.New("a salt is 32 hexadecimal digits")
		}
		salts, quoted[i] = append(salts, [16]byte(salt)), `"`+t+`"`
	}
	if joinArray(quoted) != string(b) {
		return nil, errors.New("salts.json is not in canonical form")
	}
	return salts, nil
}

// parseVKeys reads the policy file: one log, no witnesses asked for.
func parseVKeys(b []byte) (string, error) {
	s, ok := strings.CutPrefix(string(b), "log ")
	vkey, ok2 := strings.CutSuffix(s, "\nquorum none\n")
	if !ok || !ok2 || vkey == "" || len(vkey) > 1024 || strings.ContainsAny(vkey, " \t\r\n") {
		return "", errors.New("vkeys.txt names no log")
	}
	return vkey, nil
}
