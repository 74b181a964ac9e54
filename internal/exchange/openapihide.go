package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-yaml"
)

// HiddenServer stands in a description given to other agencies where the address of the service was: what a consumer calls is
// its own node (spec §2.8).
const HiddenServer = "http://example.org/xroad-endpoint"

// maxOpenAPI and maxOpenAPIDepth bound a description that is read (spec D9).
const (
	maxOpenAPI      = 4 << 20
	maxOpenAPIDepth = 100
)

// HideServers returns an OpenAPI 3 description, JSON or YAML, in which the addresses of servers are replaced by [HiddenServer],
// wherever a description may name them: at its root, at a path, at an operation and at a link. Variables of addresses, which may
// name inner hosts, are left out. The order of members stays.
func HideServers(doc []byte) ([]byte, error) {
	if len(doc) > maxOpenAPI {
		return nil, errors.New("the description is too large")
	}
	if isJSON(doc) {
		d := json.NewDecoder(bytes.NewReader(doc))
		d.UseNumber()
		v, err := readOrdered(d, 0)
		if err != nil {
			return nil, err
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return nil, errors.New("the description goes on after its end")
		}
		if err := hideServers(v, 0); err != nil {
			return nil, err
		}
		var b bytes.Buffer
		if err := writeOrdered(&b, v); err != nil {
			return nil, err
		}
		return b.Bytes(), nil
	}
	var v any
	if err := yaml.UnmarshalWithOptions(doc, &v, yaml.UseOrderedMap()); err != nil {
		return nil, fmt.Errorf("the description is neither JSON nor YAML: %w", err)
	}
	if _, ok := v.(yaml.MapSlice); !ok {
		return nil, errors.New("the description is no object")
	}
	if err := hideServers(v, 0); err != nil {
		return nil, err
	}
	return yaml.Marshal(v)
}

// isJSON reports whether a description is JSON rather than YAML.
func isJSON(doc []byte) bool {
	doc = bytes.TrimLeft(bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf")), " \t\r\n")
	return len(doc) > 0 && doc[0] == '{'
}

// hideServers changes the items of v, which is made of yaml.MapSlice, []any and plain values.
func hideServers(v any, depth int) error {
	if depth > maxOpenAPIDepth {
		return errors.New("the description is nested too deeply")
	}
	switch v := v.(type) {
	case yaml.MapSlice:
		for i := range v {
			switch list, isList := v[i].Value.([]any); {
			case v[i].Key == "servers" && isList:
				for j := range list {
					list[j] = hideServer(list[j])
				}
			case v[i].Key == "server":
				v[i].Value = hideServer(v[i].Value)
			}
			if err := hideServers(v[i].Value, depth+1); err != nil {
				return err
			}
		}
	case []any:
		for _, x := range v {
			if err := hideServers(x, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// hideServer replaces the address of a Server Object; what is none stays as it is.
func hideServer(v any) any {
	m, ok := v.(yaml.MapSlice)
	if !ok {
		return v
	}
	out := make(yaml.MapSlice, 0, len(m))
	found := false
	for _, item := range m {
		switch item.Key {
		case "url":
			item.Value, found = HiddenServer, true
		case "variables":
			continue
		}
		out = append(out, item)
	}
	if !found {
		return v
	}
	return out
}

// readOrdered reads one JSON value with the members of objects in their order.
func readOrdered(d *json.Decoder, depth int) (any, error) {
	if depth > maxOpenAPIDepth {
		return nil, errors.New("the description is nested too deeply")
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		m := yaml.MapSlice{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := readOrdered(d, depth+1)
			if err != nil {
				return nil, err
			}
			m = append(m, yaml.MapItem{Key: key, Value: v})
		}
		_, err := d.Token()
		return m, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := readOrdered(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	return t, nil
}

// writeOrdered writes what readOrdered read, without blanks.
func writeOrdered(b *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case yaml.MapSlice:
		b.WriteByte('{')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeOrdered(b, item.Key); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := writeOrdered(b, item.Value); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, x := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeOrdered(b, x); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		b.Write(text)
	}
	return nil
}
