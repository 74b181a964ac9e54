package vxptest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// Result is what a caller of the SDK is left with.
type Result struct {
	Status, ErrorCode, ErrorDesc, DocID string
	// Data are the rows of a list; nil after anything the SDK could not read.
	Data []map[string]any
	// File is the document of getEdoc or downloadEdoc.
	File []byte
	// Count is of the two counters.
	Count int
	// Answer is what was on the wire; the SDK does not show it.
	Answer *Answer
}

// triple reads what every answer has. ok is false where the SDK gives up: no JSON, or a field that is missing or null.
func triple(body []byte, r *Result) (fields map[string]json.RawMessage, ok bool) {
	if json.Unmarshal(body, &fields) != nil || fields == nil {
		return nil, false
	}
	text := func(name string) (string, bool) {
		raw, has := fields[name]
		if !has || string(raw) == "null" {
			return "", false
		}
		var s string
		if json.Unmarshal(raw, &s) != nil {
			s = string(raw) // a number is taken too
		}
		return s, true
	}
	var a, b, c bool
	r.Status, a = text("status")
	r.ErrorCode, b = text("ErrorCode")
	r.ErrorDesc, c = text("ErrorDesc")
	r.DocID, _ = text("DocId")
	return fields, a && b && c
}

// holdsNull reports whether a JSON text has a null anywhere.
func holdsNull(raw json.RawMessage) bool {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return true
	}
	var walk func(any) bool
	walk = func(v any) bool {
		switch v := v.(type) {
		case nil:
			return true
		case []any:
			return slices.ContainsFunc(v, walk)
		case map[string]any:
			for _, e := range v {
				if walk(e) {
					return true
				}
			}
		}
		return false
	}
	return walk(v)
}

// list makes a list call. What cannot be read is OK without documents.
func (c *Client) list(name string, params ...string) (*Result, error) {
	a, err := c.call(http.MethodPost, name, nil, params...)
	if err != nil {
		return nil, err
	}
	r := &Result{Answer: a}
	fields, ok := triple(a.Body, r)
	if !ok {
		return &Result{Status: "OK", ErrorCode: "0", Answer: a}, nil
	}
	if raw, has := fields["data"]; has && !holdsNull(raw) && json.Unmarshal(raw, &r.Data) == nil && r.Data == nil {
		r.Data = []map[string]any{}
	}
	return r, nil
}

// plain makes a call whose answer is the triple, with what it may hold besides.
func (c *Client) plain(name string, body []byte, params ...string) (*Result, map[string]json.RawMessage, error) {
	a, err := c.call(http.MethodPost, name, body, params...)
	if err != nil {
		return nil, nil, err
	}
	r := &Result{Answer: a}
	fields, ok := triple(a.Body, r)
	if !ok {
		return &Result{Answer: a}, fields, nil
	}
	return r, fields, nil
}

// Agencies calls getAgenciesList.
func (c *Client) Agencies() (*Result, error) { return c.list("getAgenciesList") }

// AgenciesQD20 calls getAgenciesListQD20, which 2.0.0 lacks.
func (c *Client) AgenciesQD20(level string) (*Result, error) {
	return c.list("getAgenciesListQD20", "level", level)
}

// Units calls getSynchronizeUnit.
func (c *Client) Units() (*Result, error) { return c.list("getSynchronizeUnit") }

// Agency is the form of registerAgency.
type Agency struct {
	ID     string `json:"id"`
	PCode  string `json:"pcode"`
	Code   string `json:"code"`
	Name   string `json:"name"`
	Mail   string `json:"mail"`
	Mobile string `json:"mobile"`
	Fax    string `json:"fax"`
}

// Register calls registerAgency. The body is not signed.
func (c *Client) Register(a Agency) (*Result, error) {
	b, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	return c.RegisterRaw(b)
}

// RegisterRaw calls registerAgency with any body.
func (c *Client) RegisterRaw(body []byte) (*Result, error) {
	r, _, err := c.plain("registerAgency", body)
	return r, err
}

// Delete calls deleteAgency.
func (c *Client) Delete(code string) (*Result, error) {
	r, _, err := c.plain("deleteAgency", []byte("{}"), "AgencyCode", code)
	return r, err
}

// Send calls sendEdoc. messageType is edoc or status, to a JSON list of codes in a text.
func (c *Client) Send(from, messageType, to string, file []byte) (*Result, error) {
	return c.SendHashed(from, messageType, to, file, hashFile(file))
}

// SendHashed is Send with any hash; without one the header is left out, if no earlier call left one behind.
func (c *Client) SendHashed(from, messageType, to string, file []byte, hash string) (*Result, error) {
	c.Set("filePath", `C:\hoso\van ban.edxml`)
	params := []string{"servicetype", "eDoc", "messagetype", messageType, "from", from, "to", to}
	if hash != "" {
		params = append(params, "hash-file", hash)
	}
	a, err := c.send(file, params...)
	if err != nil {
		return nil, err
	}
	r := &Result{Answer: a}
	if a.Status == http.StatusAccepted || len(a.Body) == 0 {
		return r, nil // the caller gets null
	}
	body := []byte(strings.Map(func(c rune) rune { // US-ASCII
		if c > 126 {
			return '?'
		}
		return c
	}, string(a.Body)))
	fields, ok := triple(body, r)
	if id, has := fields["DocId"]; !ok || !has || string(id) == "null" {
		return &Result{Answer: a}, nil // without DocId the error is lost too
	}
	return r, nil
}

// Received calls getReceivedEdocList.
func (c *Client) Received(messageType string, params ...string) (*Result, error) {
	return c.list("getReceivedEdocList", append([]string{"servicetype", "eDoc", "messagetype", messageType}, params...)...)
}

// Sentlist calls getSentEdocList; docID may be empty.
func (c *Client) Sentlist(messageType, docID string) (*Result, error) {
	params := []string{"servicetype", "eDoc", "messagetype", messageType}
	if docID != "" {
		params = append(params, "docId", docID)
	}
	return c.list("getSentEdocList", params...)
}

// Get calls getEdoc.
func (c *Client) Get(docID string) (*Result, error) {
	r, fields, err := c.plain("getEdoc", []byte("{}"), "docId", docID)
	if err != nil {
		return nil, err
	}
	var text string
	if json.Unmarshal(fields["data"], &text) == nil && text != "" {
		if r.File, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Download calls downloadEdoc, which 2.0.0 lacks: whatever a 200 carries is the file.
func (c *Client) Download(docID string) (*Result, error) {
	a, err := c.call(http.MethodGet, "downloadEdoc", nil, "docId", docID)
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return &Result{Status: "FAIL", ErrorCode: "100", Answer: a}, nil
	}
	return &Result{Status: "SUCCESS", File: a.Body, Answer: a}, nil
}

// Update calls updateStatus. An empty description is not set, so that one of an earlier call stays.
func (c *Client) Update(docID, status, description string) (*Result, error) {
	params := []string{"docId", docID, "status", status}
	if description != "" {
		params = append(params, "description", description)
	}
	r, _, err := c.plain("updateStatus", []byte("{}"), params...)
	return r, err
}

// CountEdoc calls countReceiveEdoc and CountStatus countReceiveStatus, which 2.0.0 lacks.
func (c *Client) CountEdoc() (*Result, error) { return c.count("countReceiveEdoc") }

// CountStatus calls countReceiveStatus.
func (c *Client) CountStatus() (*Result, error) { return c.count("countReceiveStatus") }

func (c *Client) count(name string) (*Result, error) {
	r, fields, err := c.plain(name, []byte("{}"))
	if err != nil {
		return nil, err
	}
	r.Count = -1
	if raw, ok := fields["count"]; ok {
		if err := json.Unmarshal(raw, &r.Count); err != nil {
			r.Count = -1
		}
	}
	return r, nil
}

// Call makes a call of any name that answers with the triple.
func (c *Client) Call(name string) (*Result, error) {
	r, _, err := c.plain(name, []byte("{}"))
	return r, err
}

// Raw makes any call and returns what was on the wire; tests of hostile input use it.
func (c *Client) Raw(method, name string, body []byte, params ...string) (*Answer, error) {
	return c.call(method, name, body, params...)
}
