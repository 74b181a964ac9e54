package edxml

import (
	"bytes"
	_ "embed" // the lists
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

//go:embed codelists.json
var defaultLists []byte

// Lists are the code lists of edXML with where each meaning was found. Sources disagree about some; a meaning that is
// not Verified is shown to nobody until an administrator has confirmed it, by giving the program an edited list.
type Lists struct {
	Defaults struct {
		DocumentType int `json:"documentType"` // what is written as DocumentType/Type
		SteeringType int `json:"steeringType"`
	} `json:"defaults"`
	Statuses      []Entry `json:"statuses"`
	Kinds         []Entry `json:"kinds"`
	Priorities    []Entry `json:"priorities"`
	SteeringTypes []Entry `json:"steeringTypes"`
	DocumentTypes []Entry `json:"documentTypes"`
}

// Entry is one code and a meaning that a source gives to it; two sources make two entries.
type Entry struct {
	Code     string `json:"code"`
	Vi       string `json:"vi"`
	En       string `json:"en"`
	Source   string `json:"source"`
	Verified bool   `json:"verified,omitempty"`
	// The rest is said of statuses only.
	By        string `json:"by,omitempty"`        // "receiver" or "sender" of the document
	Automatic bool   `json:"automatic,omitempty"` // sent by software, without a person
	Reason    bool   `json:"reason,omitempty"`    // needs a description
	Final     bool   `json:"final,omitempty"`     // no status of the same side follows
}

// DefaultLists returns the lists that come with the package, afresh each time.
func DefaultLists() *Lists {
	l, err := ParseLists(defaultLists)
	if err != nil {
		panic(err) // the file is embedded, and a test reads it
	}
	return l
}

// ParseLists reads lists from JSON and checks them.
func ParseLists(b []byte) (*Lists, error) {
	l := &Lists{}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(l); err != nil {
		return nil, fmt.Errorf("edxml: code lists: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("edxml: code lists: something follows the lists")
	}
	for name, entries := range map[string][]Entry{
		"statuses": l.Statuses, "kinds": l.Kinds, "priorities": l.Priorities, "steeringTypes": l.SteeringTypes, "documentTypes": l.DocumentTypes,
	} {
		confirmed := map[string]bool{}
		for i, e := range entries {
			switch {
			case e.Code == "" || e.Vi == "" || e.En == "":
				return nil, fmt.Errorf("edxml: code lists: %s, entry %d: code, vi and en are needed", name, i+1)
			case name == "statuses" && (!twoDigits(e.Code) || e.By != "receiver" && e.By != "sender"):
				return nil, fmt.Errorf("edxml: code lists: %s, entry %d: a status has two digits and is sent by receiver or sender", name, i+1)
			case e.Verified && confirmed[e.Code]:
				return nil, fmt.Errorf("edxml: code lists: %s, entry %d: two meanings of %s are verified", name, i+1, e.Code)
			}
			confirmed[e.Code] = confirmed[e.Code] || e.Verified
		}
	}
	return l, nil
}

// Status returns what is known about a status code.
func (l *Lists) Status(code string) (Entry, bool) {
	for _, e := range l.Statuses {
		if e.Code == code {
			return e, true
		}
	}
	return Entry{}, false
}

// Label returns the confirmed meaning of a code, in English for "en" and else in Vietnamese; nothing if there is none.
func Label(entries []Entry, code, lang string) string {
	for _, e := range entries {
		if e.Code == code && e.Verified {
			if lang == "en" {
				return e.En
			}
			return e.Vi
		}
	}
	return ""
}
