// Package demo runs a small country on one machine: it writes the configuration of each node, starts every node as a
// process of its own, keeps the payment simulator, and says what to try. It drives the nodes from outside, by their
// configuration files and their HTTP interfaces, as an operator and a citizen would.
package demo

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strings"

	"truc/internal/adminunits"
	"truc/internal/i18n"
)

//go:embed data/agencies.csv
var agenciesCSV string

// agency is a node of the demonstration.
type agency struct {
	code, server string
	name         i18n.Text
	unit         string // administrative unit of a province
	kind         string // center, ministry, province
	web, link    int    // ports
}

func (a agency) id() string {
	if a.server != "" && a.server != "node1" {
		return a.code + "-" + a.server
	}
	return a.code
}

func (a agency) webURL() string  { return fmt.Sprintf("http://127.0.0.1:%d", a.web) }
func (a agency) linkURL() string { return fmt.Sprintf("https://127.0.0.1:%d", a.link) }

// Codes of the nodes that have a part in the story.
const (
	centerCode = "G22"
	population = "G01"
	civil      = "G15"
	lamDong    = "H36"
	hue        = "H57"
)

// country lists the nodes. n is 5 for the story alone, 86 for the center, 22 ministries and the 63 provinces of the list
// before July 2025, or 57 for the center, 22 ministries and today's 34 provinces.
func country(n, basePort int) ([]agency, error) {
	all, err := codes()
	if err != nil {
		return nil, err
	}
	units, err := adminunits.Load()
	if err != nil {
		return nil, err
	}
	name := map[string]string{}
	for _, c := range all {
		name[c.code] = c.name
	}
	list := []agency{
		{code: centerCode, server: "node1", kind: "center", name: i18n.Text{"vi": "Văn phòng Chính phủ", "en": "Government Office"}},
		{code: population, kind: "ministry", name: i18n.Text{"vi": "Bộ Công an", "en": "Ministry of Public Security"}},
		{code: civil, kind: "ministry", name: i18n.Text{"vi": "Bộ Tư pháp", "en": "Ministry of Justice"}},
		{code: lamDong, kind: "province", unit: "68", name: i18n.Text{"vi": "UBND tỉnh Lâm Đồng", "en": "People's Committee of Lâm Đồng"}},
		{code: hue, kind: "province", unit: "46", name: i18n.Text{"vi": "UBND thành phố Huế", "en": "People's Committee of Huế"}},
	}
	if n > 5 {
		list = append(list, others(all, units, n)...)
		if len(list) > n {
			list = list[:n]
		}
	}
	for i := range list {
		list[i].web, list[i].link = basePort+10*i, basePort+10*i+1
		if list[i].server == "" {
			list[i].server = "node1"
		}
	}
	return list, nil
}

// others are the remaining ministries and provinces. The Government Office has two nodes: the center and its own.
func others(all []codeRow, units *adminunits.Units, n int) []agency {
	today := map[string]string{} // name without its kind → unit code
	for _, p := range units.Provinces() {
		today[i18n.Fold(p.Name)] = p.Code
	}
	var out []agency
	for _, c := range all {
		if c.code == population || c.code == civil || c.code == lamDong || c.code == hue {
			continue
		}
		switch c.code[0] {
		case 'G':
			out = append(out, agency{code: c.code, kind: "ministry", name: i18n.Text{"vi": c.name, "en": c.name}})
		case 'H':
			unit, still := today[i18n.Fold(strings.TrimPrefix(c.name, "Thành phố "))]
			if n <= 57 && !still {
				continue
			}
			out = append(out, agency{code: c.code, kind: "province", unit: unit, name: i18n.Text{"vi": "UBND " + c.name, "en": "People's Committee of " + c.name}})
		}
	}
	return append(out, agency{code: centerCode, server: "node2", kind: "ministry", name: i18n.Text{"vi": "Văn phòng Chính phủ", "en": "Government Office"}})
}

type codeRow struct{ code, name string }

// codes reads the first-level agency codes; most are from memory and marked so in the file, which is why they are data.
func codes() ([]codeRow, error) {
	rows, err := csv.NewReader(strings.NewReader(agenciesCSV)).ReadAll()
	if err != nil {
		return nil, err
	}
	var out []codeRow
	for _, r := range rows[1:] {
		name, _, _ := strings.Cut(r[1], " (")
		out = append(out, codeRow{r[0], name})
	}
	return out, nil
}
