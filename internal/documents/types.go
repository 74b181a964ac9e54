package documents

import "slices"

// Type is a kind of administrative document with the letters that stand for it in its notation.
type Type struct {
	// Code identifies the type here; it equals Letters but for the two types that have none.
	Code string
	// Letters begin the notation; empty for official letters.
	Letters string
	// Name is the legal name, in Vietnamese on every page and in edXML's TypeName.
	Name string
}

// The two types whose notation has no letters of a type.
const (
	OfficialLetter = "CV"       // công văn
	PersonalLetter = "thu-cong" // thư công
)

// Types returns the 29 types of Decree 30/2020/NĐ-CP, article 7 and appendix III, in the order of the decree.
func Types() []Type {
	return []Type{
		{"NQ", "NQ", "Nghị quyết"},
		{"QĐ", "QĐ", "Quyết định"},
		{"CT", "CT", "Chỉ thị"},
		{"QC", "QC", "Quy chế"},
		{"QyĐ", "QyĐ", "Quy định"},
		{"TC", "TC", "Thông cáo"},
		{"TB", "TB", "Thông báo"},
		{"HD", "HD", "Hướng dẫn"},
		{"CTr", "CTr", "Chương trình"},
		{"KH", "KH", "Kế hoạch"},
		{"PA", "PA", "Phương án"},
		{"ĐA", "ĐA", "Đề án"},
		{"DA", "DA", "Dự án"},
		{"BC", "BC", "Báo cáo"},
		{"BB", "BB", "Biên bản"},
		{"TTr", "TTr", "Tờ trình"},
		{"HĐ", "HĐ", "Hợp đồng"},
		{OfficialLetter, "", "Công văn"},
		{"CĐ", "CĐ", "Công điện"},
		{"BGN", "BGN", "Bản ghi nhớ"},
		{"BTT", "BTT", "Bản thỏa thuận"},
		{"GUQ", "GUQ", "Giấy ủy quyền"},
		{"GM", "GM", "Giấy mời"},
		{"GGT", "GGT", "Giấy giới thiệu"},
		{"GNP", "GNP", "Giấy nghỉ phép"},
		{"PG", "PG", "Phiếu gửi"},
		{"PC", "PC", "Phiếu chuyển"},
		{"PB", "PB", "Phiếu báo"},
		{PersonalLetter, "", "Thư công"},
	}
}

// CopyTypes returns the three kinds of copies (Decree 30/2020/NĐ-CP, appendix III).
func CopyTypes() []Type {
	return []Type{{"SY", "SY", "Sao y"}, {"TrS", "TrS", "Trích sao"}, {"SL", "SL", "Sao lục"}}
}

// TypeOf finds a type by its code.
func TypeOf(code string) (Type, bool) {
	all := Types()
	if i := slices.IndexFunc(all, func(t Type) bool { return t.Code == code }); i >= 0 {
		return all[i], true
	}
	return Type{}, false
}

// typeByLetters finds the type, or kind of copy, whose notation begins with the letters.
func typeByLetters(letters string) (Type, bool) {
	if letters == "" {
		return Type{}, false
	}
	all := append(Types(), CopyTypes()...)
	if i := slices.IndexFunc(all, func(t Type) bool { return t.Letters == letters }); i >= 0 {
		return all[i], true
	}
	return Type{}, false
}
