package edxml

import (
	"bytes"
	"unicode/utf8"
)

// executable reports whether a file begins like a program: Windows, Linux, macOS (and Java, which shares the mark of
// macOS's programs for several processors), or a script that names its interpreter.
func executable(head []byte) bool {
	for _, mark := range []string{
		"MZ", "\x7fELF", "#!", "\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe", "\xca\xfe\xba\xbf",
	} {
		if bytes.HasPrefix(head, []byte(mark)) {
			return true
		}
	}
	return false
}

// looksLike reports whether content that begins with head may be a file of that ending. It knows DefaultTypes and says
// yes to every other ending.
func looksLike(ext string, head []byte) bool {
	begins := func(marks ...string) bool {
		for _, m := range marks {
			if bytes.HasPrefix(head, []byte(m)) {
				return true
			}
		}
		return false
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch ext {
	case "pdf": // readers look for the mark in the first kilobyte
		return bytes.Contains(head[:min(len(head), 1024)], []byte("%PDF-"))
	case "doc", "xls", "ppt":
		return begins("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	case "docx", "xlsx", "pptx", "odt", "ods", "odp", "asice":
		return begins("PK\x03\x04")
	case "zip":
		return begins("PK\x03\x04", "PK\x05\x06")
	case "rtf":
		return begins(`{\rtf`)
	case "png":
		return begins("\x89PNG\r\n\x1a\n")
	case "jpg", "jpeg":
		return begins("\xff\xd8\xff")
	case "tif", "tiff":
		return begins("II*\x00", "MM\x00*", "II+\x00", "MM\x00+")
	case "p7s": // DER, or the same in letters
		return begins("\x30\x80", "\x30\x81", "\x30\x82", "\x30\x83", "\x30\x84", "-----BEGIN ", "MI")
	case "xml":
		return len(text) > 0 && text[0] == '<' || utf16Mark(head)
	case "json":
		return len(text) > 0 && bytes.IndexByte([]byte(`{["-0123456789tfn`), text[0]) >= 0 && plainText(head)
	case "txt", "csv":
		return plainText(head) || utf16Mark(head)
	}
	return true
}

func utf16Mark(head []byte) bool {
	return bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff})
}

// plainText reports whether head holds no control characters besides white space, and no mark of a known format.
// Old
// Vietnamese encodings are text too, and one of them has letters among the control characters.
func plainText(head []byte) bool {
	head = head[:min(len(head), 1024)]
	if bytes.HasPrefix(head, []byte("%PDF-")) || bytes.HasPrefix(head, []byte("PK\x03\x04")) {
		return false
	}
	unicode := utf8.Valid(head)
	for _, b := range head {
		if b == 0 || unicode && b < ' ' && b != '\t' && b != '\n' && b != '\r' && b != '\f' {
			return false
		}
	}
	return true
}
