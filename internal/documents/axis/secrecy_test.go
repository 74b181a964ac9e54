package axis

import (
	"testing"

	"truc/edxml"
)

func TestStateSecrets(t *testing.T) {
	rule := DefaultSecrecy()
	if rule.Verified || rule.Source == "" {
		t.Error("the rule comes from no text that was checked, and must say so")
	}
	for name, tt := range map[string]struct {
		m      edxml.Message
		secret bool
	}{
		"sphere":               {edxml.Message{Other: edxml.OtherInfo{Sphere: "Mật"}}, true},
		"sphere, words":        {edxml.Message{Other: edxml.OtherInfo{Sphere: "Lưu hành: TUYỆT  MẬT"}}, true},
		"sphere, decomposed":   {edxml.Message{Other: edxml.OtherInfo{Sphere: "Ma\u0323\u0302t"}}, true},
		"sphere, common":       {edxml.Message{Other: edxml.OtherInfo{Sphere: "Lưu hành nội bộ"}}, false},
		"sphere, other word":   {edxml.Message{Other: edxml.OtherInfo{Sphere: "Mặt trận Tổ quốc"}}, false},
		"notation":             {edxml.Message{Code: edxml.Code{Number: "12", Notation: "BC-UBND-MẬT"}}, true},
		"notation in brackets": {edxml.Message{Code: edxml.Code{Notation: "BC-UBND (Tối mật)"}}, true},
		"notation, common":     {edxml.Message{Code: edxml.Code{Notation: "QĐ-MTTQ"}}, false},
		"drafter":              {edxml.Message{Other: edxml.OtherInfo{TyperNotation: "NVA.MẬT"}}, true},
		"type":                 {edxml.Message{Type: edxml.DocumentType{Name: "Công văn mật"}}, true},
		"subject, brackets":    {edxml.Message{Subject: "Về phương án bảo vệ (MẬT)"}, true},
		"subject, beginning":   {edxml.Message{Subject: "TUYỆT MẬT: Về phương án"}, true},
		"subject, alone":       {edxml.Message{Subject: "Tối mật"}, true},
		"about secrets":        {edxml.Message{Subject: "V/v triển khai Luật Bảo vệ bí mật nhà nước"}, false},
		"about honey":          {edxml.Message{Subject: "V/v hỗ trợ nghề nuôi ong lấy mật: kế hoạch năm 2026"}, false},
		"content":              {edxml.Message{Content: "[Mật] nội dung"}, true},
		"attachment":           {edxml.Message{Attachments: []edxml.Attachment{{Name: "MAT.pdf"}, {Name: "phuong-an (Mật).pdf"}}}, true},
		"attachment, name":     {edxml.Message{Attachments: []edxml.Attachment{{Name: "Mật_phuong_an.pdf"}}}, true},
		"attachment, text":     {edxml.Message{Attachments: []edxml.Attachment{{Name: "a.pdf", Description: "Mật"}}}, true},
		"attachment, common":   {edxml.Message{Attachments: []edxml.Attachment{{Name: "bao-mat.pdf", Description: "Văn bản chính"}}}, false},
		"brackets that hang":   {edxml.Message{Subject: "((([[[ mật ong"}, false},
		"nothing":              {edxml.Message{}, false},
	} {
		if field, mark, found := rule.Find(&tt.m); found != tt.secret {
			t.Errorf("%s: %v (%q in %s); want %v", name, found, mark, field, tt.secret)
		}
	}
}

func TestParseSecrecy(t *testing.T) {
	for _, bad := range []string{``, `{}`, `{"words":[""]}`, `{"words":["mật"],"word":["nowhere"]}`, `[]`} {
		if _, err := ParseSecrecy([]byte(bad)); err == nil {
			t.Errorf("ParseSecrecy(%q) took it", bad)
		}
	}
	r, err := ParseSecrecy([]byte(`{"words":["Hạn chế"],"word":["sphere"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, mark, found := r.Find(&edxml.Message{Other: edxml.OtherInfo{Sphere: "hạn chế"}}); !found || mark != "hạn chế" {
		t.Errorf("an own rule does not find its word: %q", mark)
	}
	if _, _, found := r.Find(&edxml.Message{Other: edxml.OtherInfo{Sphere: "mật"}}); found {
		t.Error("an own rule finds the words of the default")
	}
}

// FuzzSecrecy: whatever agencies write, the rule comes to an end, and what it finds is one of its words.
func FuzzSecrecy(f *testing.F) {
	rule := DefaultSecrecy()
	f.Add("Mật", "12/BC (MẬT)", "([{)]}")
	f.Add("", "((((", "a:b")
	f.Fuzz(func(t *testing.T, sphere, notation, subject string) {
		m := &edxml.Message{Subject: subject, Code: edxml.Code{Notation: notation}, Other: edxml.OtherInfo{Sphere: sphere}}
		if field, mark, found := rule.Find(m); found == (field == "" || mark == "") {
			t.Errorf("Find() = %q, %q, %v", field, mark, found)
		}
	})
}
