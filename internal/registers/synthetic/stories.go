package synthetic

import (
	"fmt"
	"time"

	"truc/internal/i18n"
)

// Story is a demonstration person: always the same, whatever the seed, so that a sign-in page, a test and a guide can
// name them.
type Story struct {
	// ID is a short stable word, such as "ha".
	ID         string
	PersonalID string
	Name       string
	BirthDate  string
	Sex        string
	// Province and ProvinceName are those of the permanent residence.
	Province, ProvinceName string
	// Level is the identification level the person signs in with (Decree 69/2024); 0: does not sign in.
	Level int
	// About says what the person is good for.
	About i18n.Text
}

// story is the fixed part of a demonstration person. Serial numbers below 1000 are theirs alone.
type story struct {
	id, name, family, sex, born string
	serial                      int
	commune, detail             string
	birthCommune                string // empty: where they live
	ethnicity                   string // empty: Kinh
	marital                     string // empty: single
	policy                      []string
	died                        string
	level                       int
	father, mother              string // ids of stories, or names
	spouse                      string
	household, relation         string
	phone                       string
	vi, en                      string
}

func storyList() []story {
	return []story{
		{
			id: "ha", name: "Nguyễn Thị Thu Hà", family: "Nguyễn", sex: "female", born: "1990-04-12", serial: 101, commune: "24781",
			detail: "18 đường Trần Phú", marital: "married", spouse: "bao", level: 2, household: "a", relation: "Vợ", phone: "0950000101",
			father: "Nguyễn Văn Khánh", mother: "Lê Thị Mận",
			vi: "Sống ở Đà Lạt, muốn xin bản sao trích lục khai sinh của mình và của con", en: "Lives in Đà Lạt, wants copies of her own and her child's birth extract",
		},
		{
			id: "bao", name: "Trần Quốc Bảo", family: "Trần", sex: "male", born: "1988-11-30", serial: 102, commune: "24781",
			detail: "18 đường Trần Phú", birthCommune: "19789", marital: "married", spouse: "ha", level: 2, household: "a", relation: "Chủ hộ",
			father: "Trần Đình Sơn", mother: "Phan Thị Huệ",
			vi: "Chồng chị Hà, sinh tại Huế: giấy tờ nằm ở địa phương khác", en: "Ms Hà's husband, born in Huế: his records lie in another province",
		},
		{
			id: "minh-anh", name: "Trần Nguyễn Minh Anh", family: "Trần", sex: "female", born: "2019-06-01", serial: 103, commune: "24781",
			detail: "18 đường Trần Phú", father: "bao", mother: "ha", household: "a", relation: "Con",
			vi: "Con gái chị Hà, học tiểu học", en: "Ms Hà's daughter, in primary school",
		},
		{
			id: "thanh", name: "Lê Văn Thành", family: "Lê", sex: "male", born: "1985-09-03", serial: 104, commune: "19753",
			detail: "42/6 đường Nguyễn Trãi", level: 2, household: "b", relation: "Chủ hộ", phone: "0950000104", father: "Lê Hữu Tài", mother: "Võ Thị Lan",
			vi: "Người đàn ông ở Huế, chưa kết hôn", en: "A man in Huế, not married",
		},
		{
			id: "quynh", name: "Công Tằng Tôn Nữ Thuỷ Quỳnh Như Ngọc", family: "Công Tằng Tôn Nữ", sex: "female", born: "1979-02-05", serial: 105,
			commune: "19777", detail: "7 đường Nguyễn Sinh Cung", level: 2, household: "c", relation: "Chủ hộ", marital: "divorced",
			father: "Nguyễn Phúc Ưng Thuyên", mother: "Hoàng Thị Bích Liên",
			vi: "Tên rất dài: thử mọi biểu mẫu và giấy in", en: "A very long name: tests every form and print",
		},
		{
			id: "nghia", name: "Hồ Văn Nghĩa", family: "Hồ", sex: "male", born: "1951-07-27", serial: 106, commune: "20044", detail: "Thôn 3",
			ethnicity: "Tà Ôi", policy: []string{"NCC"}, level: 2, household: "d", relation: "Chủ hộ", marital: "widowed", father: "Hồ Văn Ba", mother: "Kăn Nhơn",
			vi: "Người có công với cách mạng: được miễn lệ phí", en: "A person of merit to the revolution: exempt from fees",
		},
		{
			id: "kbret", name: "K'Brết", family: "", sex: "male", born: "1948", serial: 107, commune: "24848", detail: "Thôn 1", ethnicity: "Cơ Ho",
			level: 2, household: "e", relation: "Chủ hộ", marital: "married", spouse: "ka-nga", father: "K'Sáu", mother: "Ka Hương",
			vi: "Người cao tuổi chỉ biết năm sinh", en: "An elder of whom only the year of birth is known",
		},
		{
			id: "ka-nga", name: "Cil Ka Nga", family: "Cil", sex: "female", born: "1952", serial: 108, commune: "24848", detail: "Thôn 1",
			ethnicity: "Cơ Ho", level: 1, household: "e", relation: "Vợ", marital: "married", spouse: "kbret", father: "Cil Ha Krong", mother: "Ka Brệ",
			vi: "Vợ ông K'Brết, mới có tài khoản mức 1", en: "K'Brết's wife, with a level 1 account only",
		},
		{
			id: "thuyen", name: "Rơ Ông Ha Thuyên", family: "Rơ Ông", sex: "male", born: "2006-03-15", serial: 109, commune: "24846", detail: "Thôn 2",
			ethnicity: "Cơ Ho", policy: []string{"HN"}, level: 2, household: "f", relation: "Con", father: "Rơ Ông Ha Juang", mother: "Bon Niêng K'Mai",
			vi: "Sinh viên, hộ nghèo, dân tộc thiểu số", en: "A student of a poor, ethnic-minority household",
		},
		{
			id: "lanh", name: "Phạm Thị Lành", family: "Phạm", sex: "female", born: "1944-10-20", serial: 110, commune: "24823", detail: "5 đường Lý Tự Trọng",
			level: 2, household: "g", relation: "Chủ hộ", marital: "widowed", father: "Phạm Văn Lộc", mother: "Đỗ Thị Sen",
			vi: "Goá chồng; cần trích lục khai tử của chồng", en: "Widowed; needs the death extract of her husband",
		},
		{
			id: "tuu", name: "Phan Văn Tựu", family: "Phan", sex: "male", born: "1940-01-08", serial: 111, commune: "24823", detail: "5 đường Lý Tự Trọng",
			household: "g", relation: "Chủ hộ (đã chết)", marital: "married", died: "2025-12-03", father: "Phan Văn Quý", mother: "Lê Thị Út",
			vi: "Đã chết: không được hiện ra khi tìm người sống", en: "Dead: must not show when the living are searched",
		},
		{
			id: "long", name: "Vũ Hoàng Long", family: "Vũ", sex: "male", born: "1995-05-19", serial: 112, commune: "00004", detail: "9 đường Đội Cấn",
			birthCommune: "24943", level: 2, household: "h", relation: "Chủ hộ", phone: "0950000112", father: "Vũ Quang Hải", mother: "Đinh Thị Hoa",
			vi: "Sống ở Hà Nội, đăng ký khai sinh ở Lâm Đồng: làm thủ tục không phụ thuộc địa giới",
			en: "Lives in Hà Nội, birth registered in Lâm Đồng: a procedure regardless of place",
		},
		{
			id: "han", name: "Bùi Gia Hân", family: "Bùi", sex: "female", born: "2011-08-22", serial: 113, commune: "19774", detail: "31 đường Kim Long",
			level: 1, household: "i", relation: "Con", father: "Bùi Đức Thắng", mother: "phuong",
			vi: "15 tuổi, tài khoản mức 1", en: "Fifteen years old, with a level 1 account",
		},
		{
			id: "phuong", name: "Đặng Thị Mai Phương", family: "Đặng", sex: "female", born: "1986-12-24", serial: 114, commune: "19774", detail: "31 đường Kim Long",
			level: 2, household: "i", relation: "Chủ hộ", marital: "divorced", father: "Đặng Văn Bình", mother: "Trần Thị Cúc",
			vi: "Mẹ đơn thân ở Huế", en: "A single mother in Huế",
		},
		{
			id: "an-1", name: "Nguyễn Văn An", family: "Nguyễn", sex: "male", born: "1990-01-01", serial: 115, commune: "24958", detail: "Thôn Tân Lập",
			level: 2, household: "j", relation: "Chủ hộ", father: "Nguyễn Văn Tư", mother: "Trần Thị Bé",
			vi: "Trùng họ tên và ngày sinh với một người ở Huế", en: "Shares name and birth date with a man in Huế",
		},
		{
			id: "an-2", name: "Nguyễn Văn An", family: "Nguyễn", sex: "male", born: "1990-01-01", serial: 116, commune: "19960", detail: "12 đường Sóng Hồng",
			level: 2, household: "k", relation: "Chủ hộ", father: "Nguyễn Hữu Năm", mother: "Lý Thị Nhung",
			vi: "Trùng họ tên và ngày sinh với một người ở Lâm Đồng", en: "Shares name and birth date with a man in Lâm Đồng",
		},
	}
}

func (s story) number() string {
	year := 0
	_, _ = fmt.Sscanf(s.born, "%4d", &year)
	return number(year, s.sex, s.serial)
}

// stories files the demonstration families before anybody is invented.
func (g *generator) stories() error {
	list := storyList()
	byID := map[string]story{}
	for _, s := range list {
		byID[s.id] = s
	}
	relative := func(id string) Relative {
		if s, ok := byID[id]; ok {
			return Relative{ID: s.number(), Name: s.name, BirthDate: s.born}
		}
		return Relative{Name: id}
	}
	homes := map[string]*household{}
	var order []*household
	for _, s := range list {
		place, ok := g.units.Find(s.commune)
		if !ok {
			return fmt.Errorf("story %s: commune %s does not exist", s.id, s.commune)
		}
		p := &Person{
			PersonalID: s.number(), FamilyName: s.family, FullName: i18n.NFC(s.name), Sex: s.sex, BirthDate: s.born, Ethnicity: s.ethnicity,
			BirthCommune: s.birthCommune, Marital: s.marital, Father: relative(s.father), Mother: relative(s.mother), DeathDate: s.died,
			PolicyGroups: s.policy, Phone: s.phone, Email: fmt.Sprintf("%s@example.vn", s.id),
		}
		if p.Ethnicity == "" {
			p.Ethnicity = "Kinh"
		}
		if p.Marital == "" {
			p.Marital = "single"
		}
		if p.BirthCommune == "" {
			p.BirthCommune = s.commune
		}
		if _, ok := g.units.Find(p.BirthCommune); !ok {
			return fmt.Errorf("story %s: commune %s does not exist", s.id, p.BirthCommune)
		}
		p.HomeCommune = p.BirthCommune
		if s.spouse != "" {
			p.Spouse = relative(s.spouse)
		}
		if ageOn(p.born(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) < 14 || s.died != "" {
			p.Email = ""
		}
		g.used[p.PersonalID] = true
		home := homes[s.household]
		if home == nil {
			home = &household{place: place, detail: s.detail}
			homes[s.household] = home
			order = append(order, home)
		}
		g.join(home, p, s.relation)
	}
	for _, home := range order {
		g.settle(home)
	}
	return nil
}

// Stories returns the demonstration persons of a population.
func Stories(p *Population) []Story {
	var out []Story
	for _, s := range storyList() {
		unit, _ := p.Units.Find(s.commune)
		province, _ := p.Units.Find(unit.Province)
		out = append(out, Story{
			ID: s.id, PersonalID: s.number(), Name: i18n.NFC(s.name), BirthDate: s.born, Sex: s.sex, Province: province.Code,
			ProvinceName: province.FullName, Level: s.level, About: i18n.Text{"vi": s.vi, "en": s.en},
		})
	}
	return out
}
