// Package adminunits knows today's administrative units of Viet Nam: 34 provinces and cities and their 3,321 wards,
// communes and special zones (two tiers since 1 July 2025; state of 25 July 2026, Resolution 30/2026/QH16 included).
//
// A bare code is ambiguous without a date: seven province codes name another province than they did before
// 1 July 2025. Whoever stores an address therefore stores [ListVersion] beside the code. Former units are not here.
package adminunits

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"truc/internal/i18n"
)

// ListVersion names the list that the codes of this package belong to.
const ListVersion = "VN-34-2026"

//go:embed data/vn-units-34-2026-07-25.json.gz
var data []byte

// Unit is a province or a commune-level unit.
type Unit struct {
	// Code has two digits for a province, five for a commune.
	Code string
	// Name is the bare name, "Xuân Hương - Đà Lạt"; FullName has the kind before it, "Phường Xuân Hương - Đà Lạt".
	Name, FullName string
	// NameEn and FullNameEn are the names without diacritics, as the source gives them.
	NameEn, FullNameEn string
	// Province is the code of the province a commune lies in; empty for a province.
	Province string
}

// IsProvince reports whether u is of the first tier.
func (u Unit) IsProvince() bool { return u.Province == "" }

// Units is the list, in the order of the source. It is safe for concurrent use.
type Units struct {
	provinces []Unit
	communes  map[string][]Unit
	byCode    map[string]Unit
	folded    []foldedUnit
}

type foldedUnit struct {
	fold string
	unit Unit
}

type rawUnit struct {
	Code, Name, NameEn, FullName, FullNameEn, CodeName, ProvinceCode string
	Wards                                                            []rawUnit
}

// Load reads the embedded list. It takes some milliseconds: call it once and keep the result.
func Load() (*Units, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("administrative units: %w", err)
	}
	var raw []rawUnit
	if err := json.NewDecoder(z).Decode(&raw); err != nil {
		return nil, fmt.Errorf("administrative units: %w", err)
	}
	u := &Units{communes: map[string][]Unit{}, byCode: map[string]Unit{}}
	for _, p := range raw {
		province := unit(p, "")
		u.provinces = append(u.provinces, province)
		u.byCode[province.Code] = province
		for _, w := range p.Wards {
			c := unit(w, p.Code)
			u.communes[p.Code] = append(u.communes[p.Code], c)
			u.byCode[c.Code] = c
		}
	}
	if len(u.provinces) == 0 || len(u.byCode) < len(u.provinces) {
		return nil, errors.New("administrative units: the list is empty")
	}
	for _, p := range u.provinces {
		u.folded = append(u.folded, foldedUnit{i18n.Fold(p.FullName), p})
		for _, c := range u.communes[p.Code] {
			u.folded = append(u.folded, foldedUnit{i18n.Fold(c.FullName), c})
		}
	}
	return u, nil
}

// unit also mends the one full name of the source that begins with a small letter ("xã Bắc Sơn", 06325).
func unit(r rawUnit, province string) Unit {
	full := i18n.NFC(r.FullName)
	if first, n := utf8.DecodeRuneInString(full); unicode.IsLower(first) {
		full = string(unicode.ToUpper(first)) + full[n:]
	}
	return Unit{Code: r.Code, Name: i18n.NFC(r.Name), FullName: full, NameEn: r.NameEn, FullNameEn: r.FullNameEn, Province: province}
}

// Provinces returns the 34 provinces and cities.
func (u *Units) Provinces() []Unit { return append([]Unit(nil), u.provinces...) }

// Communes returns the wards, communes and special zones of a province; none for an unknown code.
func (u *Units) Communes(province string) []Unit { return append([]Unit(nil), u.communes[province]...) }

// Find returns the unit with a code, of two digits or of five.
func (u *Units) Find(code string) (Unit, bool) {
	x, ok := u.byCode[code]
	return x, ok
}

// In reports whether a commune lies in a province.
func (u *Units) In(commune, province string) bool {
	x, ok := u.byCode[commune]
	return ok && province != "" && x.Province == province
}

// Address joins a house line and the names of a commune and its province, as forms print an address.
func (u *Units) Address(detail, commune string) string {
	c, ok := u.byCode[commune]
	if !ok {
		return detail
	}
	parts := []string{c.FullName}
	if p, ok := u.byCode[c.Province]; ok {
		parts = append(parts, p.FullName)
	}
	if detail != "" {
		parts = append([]string{detail}, parts...)
	}
	return strings.Join(parts, ", ")
}

// Search returns at most limit units whose full name holds every word of text, with or without diacritics; names
// that begin with the text come first. An empty province searches everywhere, provinces included.
func (u *Units) Search(text, province string, limit int) []Unit {
	want := i18n.Fold(text)
	words := strings.Fields(want)
	if len(words) == 0 || limit <= 0 {
		return nil
	}
	var first, rest []Unit
	for _, f := range u.folded {
		if province != "" && f.unit.Province != province {
			continue
		}
		if !holdsAll(f.fold, words) {
			continue
		}
		if strings.HasPrefix(f.fold, want) || strings.HasPrefix(i18n.Fold(f.unit.Name), want) {
			first = append(first, f.unit)
		} else {
			rest = append(rest, f.unit)
		}
	}
	all := append(first, rest...)
	return all[:min(limit, len(all))]
}

func holdsAll(s string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(s, w) {
			return false
		}
	}
	return true
}
