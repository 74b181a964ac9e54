package synthetic

import (
	_ "embed"
	"math/rand/v2"
	"strings"

	"truc/internal/i18n"
)

//go:embed data/boy.txt
var boyNames string

//go:embed data/girl.txt
var girlNames string

// weighted is a value with its share of a whole.
type weighted struct {
	value string
	share int
}

// familyNames follow the usual published frequencies of Kinh family names, per thousand; from memory, good enough for
// demonstrations.
var familyNames = []weighted{
	{"Nguyễn", 384},
	{"Trần", 110},
	{"Lê", 95},
	{"Phạm", 70},
	{"Hoàng", 36},
	{"Huỳnh", 15},
	{"Phan", 45},
	{"Vũ", 25},
	{"Võ", 14},
	{"Đặng", 21},
	{"Bùi", 20},
	{"Đỗ", 14},
	{"Hồ", 13},
	{"Ngô", 13},
	{"Dương", 10},
	{"Lý", 5},
	{"Đinh", 10},
	{"Trịnh", 8},
	{"Mai", 8},
	{"Đào", 8},
	{"Trương", 12},
	{"Cao", 7},
	{"Lương", 7},
	{"Hà", 6},
	{"Tạ", 5},
	{"Châu", 4},
	{"Tống", 3},
	{"Lâm", 5},
	{"Thái", 3},
	{"Tôn Thất", 2},
	{"Nguyễn Phúc", 1},
	{"Quách", 2},
}

// people of the highlands of Lâm Đồng: K'Ho, Cil, Lạch, Mạ. Many bear a given name with K' (men) or Ka (women) only.
var (
	highlandFamilies = []string{"Cil", "Rơ Ông", "Liêng Hót", "Kơ Să", "Đa Cát", "Lơ Mu", "Bon Niêng", "Cil Múp"}
	highlandMen      = []string{"K'Brết", "K'Brôi", "K'Tẻm", "K'Sáu", "K'Tuấn", "Ha Juang", "Ha Krong", "Ha Thuyên", "Ha Điệp"}
	highlandWomen    = []string{"Ka Nga", "Ka Hương", "Ka Brệ", "Ka Thuỷ", "K'Duyên", "K'Mai", "K'Yến", "K'Linh"}
)

var (
	middleMen   = []weighted{{"Văn", 40}, {"Hữu", 9}, {"Đức", 9}, {"Công", 6}, {"Quang", 7}, {"Minh", 9}, {"Quốc", 6}, {"Đình", 6}, {"Xuân", 4}, {"Thanh", 4}}
	middleWomen = []weighted{{"Thị", 62}, {"Ngọc", 9}, {"Thuỳ", 5}, {"Thanh", 6}, {"Kim", 5}, {"Mỹ", 4}, {"Hồng", 5}, {"Bích", 4}}
	oldMen      = []string{"An", "Ba", "Bình", "Chiến", "Dũng", "Đức", "Hải", "Hoà", "Hùng", "Khánh", "Lâm", "Lộc", "Minh", "Năm", "Phúc", "Quý", "Sáu", "Sơn", "Tài", "Thành", "Thắng", "Tư"}
	oldWomen    = []string{"Bé", "Cúc", "Dung", "Đào", "Hà", "Hạnh", "Hoa", "Huệ", "Lan", "Lành", "Liên", "Mai", "Mận", "Nga", "Nhung", "Sen", "Tám", "Thơm", "Thu", "Tuyết", "Út", "Xuân"}
)

func pick(r *rand.Rand, from []weighted) string {
	total := 0
	for _, w := range from {
		total += w.share
	}
	n := r.IntN(total)
	for _, w := range from {
		if n -= w.share; n < 0 {
			return w.value
		}
	}
	return from[0].value
}

func lines(text string) []string {
	var out []string
	for l := range strings.Lines(text) {
		if l = i18n.NFC(strings.TrimSpace(l)); l != "" {
			out = append(out, l)
		}
	}
	return out
}

// namer draws names; it owns the parsed lists.
type namer struct {
	r          *rand.Rand
	boys, girl []string
}

func newNamer(r *rand.Rand) *namer {
	return &namer{r: r, boys: lines(boyNames), girl: lines(girlNames)}
}

// given returns middle and given name: before about 1975 nearly always one middle word and one plain name.
func (n *namer) given(sex string, year int) string {
	female := sex == "female"
	if year < 1975 || n.r.IntN(100) < 25 {
		if female {
			return pick(n.r, middleWomen) + " " + oldWomen[n.r.IntN(len(oldWomen))]
		}
		return pick(n.r, middleMen) + " " + oldMen[n.r.IntN(len(oldMen))]
	}
	name := n.boys[n.r.IntN(len(n.boys))]
	if female {
		name = n.girl[n.r.IntN(len(n.girl))]
	}
	switch {
	case female && n.r.IntN(100) < 40:
		return "Thị " + name
	case !strings.Contains(name, " "):
		if female {
			return pick(n.r, middleWomen) + " " + name
		}
		return pick(n.r, middleMen) + " " + name
	}
	return name
}

func (n *namer) highland(sex string) string {
	g := highlandMen[n.r.IntN(len(highlandMen))]
	if sex == "female" {
		g = highlandWomen[n.r.IntN(len(highlandWomen))]
	}
	if n.r.IntN(100) < 45 {
		return g
	}
	return highlandFamilies[n.r.IntN(len(highlandFamilies))] + " " + g
}
