package edxml

import (
	"fmt"
	"strings"
)

// Codes of refusals, as the document axis answers them.
const (
	CodeFile     = 21 // an attachment cannot be taken
	CodeDocument = 22 // the message is not an edXML document as Decision 28/2018/QĐ-TTg wants it
)

// Error is a refusal. Path begins with N (missing), R (out of range), M (bad value) or T (bad type) and then says where:
// "N.MessageHeader.From.OrganId".
type Error struct {
	Code int
	Path string
	Key  string // names the sentence in texts.go
	Args []any
	Err  error // the cause, for logs
}

// Error implements error; the text is English, for logs.
func (e *Error) Error() string {
	s := "edxml: " + e.Text("en")
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Text returns the path and a sentence for people, in English for "en" and else in Vietnamese.
func (e *Error) Text(lang string) string { return e.Path + ": " + sentence(lang, e.Key, e.Args) }

// Note is something that Read tolerated.
type Note struct {
	Path       string // where, without a prefix letter
	Key        string
	Args       []any
	Attachment int // the number of the attachment it speaks of, from 1; 0: of none
}

// Text returns the path and a sentence for people, in English for "en" and else in Vietnamese.
func (n Note) Text(lang string) string { return n.Path + ": " + sentence(lang, n.Key, n.Args) }

func sentence(lang, key string, args []any) string {
	t, ok := sentences[key]
	if !ok {
		return key
	}
	s := t.vi
	if lang == "en" {
		s = t.en
	}
	if strings.Contains(s, "%") {
		return fmt.Sprintf(s, args...)
	}
	return s
}

func missing(path string) *Error {
	return &Error{Code: CodeDocument, Path: "N." + path, Key: "missing"}
}

func documentError(prefix, path, key string, args ...any) *Error {
	return &Error{Code: CodeDocument, Path: prefix + "." + path, Key: key, Args: args}
}

func fileError(prefix, path, key string, args ...any) *Error {
	return &Error{Code: CodeFile, Path: prefix + "." + path, Key: key, Args: args}
}
