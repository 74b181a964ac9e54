package servicesapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// maxDepth of JSON: no message of ours comes near it.
const maxDepth = 32

var errDoubled, errDeep = errors.New("a name stands twice in one object"), errors.New("too deeply nested")

// strict refuses JSON that two programs could read differently, an object that has a name twice, and JSON that is
// nested to wear readers out. Depth is bounded before anything is decoded.
func strict(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	type level struct {
		names map[string]bool // nil in an array
		name  bool            // the next token is a name
	}
	var open []level
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && len(open) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		delim, _ := token.(json.Delim)
		if delim == '}' || delim == ']' {
			open = open[:len(open)-1]
		} else if n := len(open); n > 0 && open[n-1].name {
			name, _ := token.(string)
			if open[n-1].names[name] {
				return errDoubled
			}
			open[n-1].names[name], open[n-1].name = true, false
			continue
		}
		if delim == '{' || delim == '[' {
			if len(open) == maxDepth {
				return errDeep
			}
			l := level{}
			if delim == '{' {
				l = level{names: map[string]bool{}, name: true}
			}
			open = append(open, l)
			continue
		}
		if n := len(open); n > 0 && open[n-1].names != nil { // a value has ended
			open[n-1].name = true
		}
	}
}
