package documents

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"path"
	"slices"
	"strings"
)

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func extension(name string) string { return strings.ToLower(strings.TrimPrefix(path.Ext(name), ".")) }

// fileTypes are the extensions that may be attached, those the axis lets through.
func fileTypes() []string {
	return []string{
		"pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "ods", "odp", "rtf", "txt", "csv", "xml", "json",
		"png", "jpg", "jpeg", "tif", "tiff", "zip", "p7s", "asice",
	}
}

// mediaOf is the media type that an extension stands for.
func mediaOf(name string) string {
	switch extension(name) {
	case "pdf":
		return "application/pdf"
	case "doc":
		return "application/msword"
	case "docx":
		return "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	case "xls":
		return "application/vnd.ms-excel"
	case "xlsx":
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	case "txt", "csv":
		return "text/plain"
	case "xml":
		return "application/xml"
	case "json":
		return "application/json"
	case "png":
		return "image/png"
	case "jpg", "jpeg":
		return "image/jpeg"
	case "tif", "tiff":
		return "image/tiff"
	case "zip":
		return "application/zip"
	case "p7s":
		return "application/pkcs7-signature"
	default:
		return "application/octet-stream"
	}
}

// executable recognises programs by their first bytes: Windows, ELF, Mach-O and scripts.
func executable(head []byte) bool {
	for _, magic := range []string{"MZ", "\x7fELF", "\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe", "#!"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}

// lies tells whether content cannot be what its extension says. Types without a mark of their own never lie.
func lies(name string, head []byte) bool {
	const zip, ole = "PK\x03\x04", "\xd0\xcf\x11\xe0"
	marks := map[string][]string{
		"pdf": {"%PDF-"}, "png": {"\x89PNG"}, "jpg": {"\xff\xd8\xff"}, "jpeg": {"\xff\xd8\xff"},
		"tif": {"II*\x00", "MM\x00*"}, "tiff": {"II*\x00", "MM\x00*"}, "zip": {zip, "PK\x05\x06"},
		"docx": {zip}, "xlsx": {zip}, "pptx": {zip}, "odt": {zip}, "ods": {zip}, "odp": {zip}, "asice": {zip},
		"doc": {ole}, "xls": {ole}, "ppt": {ole}, "rtf": {"{\\rtf"},
	}
	want := marks[extension(name)]
	return len(want) > 0 && !slices.ContainsFunc(want, func(m string) bool { return bytes.HasPrefix(head, []byte(m)) })
}

func digestOf(r io.Reader) string {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}
