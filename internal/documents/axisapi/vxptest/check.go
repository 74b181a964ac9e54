package vxptest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"
)

// Finding is what a check of an endpoint found.
type Finding struct {
	// Check says what was asked and what must come.
	Check string
	// Err is nil where it came.
	Err error
}

// Check asks an endpoint of VXP what a client of the SDK may ask, right and wrong, and says where an answer would mislead the client. It
// sends nothing that an endpoint may accept as a document, and reports nothing on documents that wait there.
func Check(endpoint, system, secret string, now time.Time) []Finding {
	c := &checker{
		good: New(endpoint, system, secret, now), wrong: New(endpoint, system, secret+"x", now), old: New(endpoint, system, secret, now.AddDate(-1, 0, 0)),
	}
	defer c.good.Close()
	defer c.wrong.Close()
	defer c.old.Close()
	c.lists()
	c.refusals()
	return c.found
}

type checker struct {
	good, wrong, old *Client
	found            []Finding
}

func (c *checker) note(check string, err error) { c.found = append(c.found, Finding{check, err}) }

// wellFormed holds an answer against what the SDK can read.
func wellFormed(a *Answer) (map[string]any, error) {
	if a.Status != http.StatusOK {
		return nil, fmt.Errorf("status %d", a.Status)
	}
	for _, b := range a.Body {
		if b > 0x7e {
			return nil, errors.New("it is not ASCII")
		}
	}
	if holdsNull(a.Body) {
		return nil, errors.New("it is no JSON, or holds a null")
	}
	var v map[string]any
	if err := json.Unmarshal(a.Body, &v); err != nil {
		return nil, err
	}
	for _, k := range []string{"status", "ErrorDesc"} {
		if _, ok := v[k].(string); !ok {
			return nil, fmt.Errorf("it lacks %s", k)
		}
	}
	return v, nil
}

// want makes a call and checks that it succeeds with a field, or is refused with a number.
func (c *checker) want(check string, x *Client, name string, body []byte, field, code string, params ...string) map[string]any {
	a, err := x.call(http.MethodPost, name, body, params...)
	if err != nil {
		c.note(check, err)
		return nil
	}
	v, err := wellFormed(a)
	got := fmt.Sprint(v["ErrorCode"])
	switch {
	case err != nil:
	case code == "0" && v["status"] != "OK", code != "0" && v["status"] != "FAIL":
		err = fmt.Errorf("status %v %s %v", v["status"], got, v["ErrorDesc"])
	case got != code:
		err = fmt.Errorf("ErrorCode %s, want %s", got, code)
	case field != "" && v[field] == nil:
		err = fmt.Errorf("it lacks %s", field)
	}
	c.note(check, err)
	return v
}

func (c *checker) lists() {
	for _, name := range []string{"getAgenciesList", "getAgenciesListQD20", "getSynchronizeUnit"} {
		c.want(name+" lists agencies", c.good, name, nil, "data", "0", "level", "1")
	}
	for _, name := range []string{"countReceiveEdoc", "countReceiveStatus"} {
		c.want(name+" counts", c.good, name, []byte("{}"), "count", "0")
	}
	params := []string{"servicetype", "eDoc", "messagetype", "edoc"}
	clean := c.want("getReceivedEdocList lists what waits", c.good, "getReceivedEdocList", nil, "data", "0", params...)
	c.want("getSentEdocList lists what was sent", c.good, "getSentEdocList", nil, "data", "0", params...)
	for k, v := range map[string]string{"docId": "no-such-document", "status": "done", "description": "old", "hash-file": "0"} {
		c.good.Set(k, v)
	}
	leaked := c.want("getReceivedEdocList with headers of earlier calls", c.good, "getReceivedEdocList", nil, "data", "0", params...)
	var err error
	if !reflect.DeepEqual(clean["data"], leaked["data"]) {
		err = errors.New("the list is another, or something arrived meanwhile")
	}
	c.note("headers of earlier calls do not change the list", err)
}

func (c *checker) refusals() {
	const unknown = "00000000-0000-4000-8000-000000000000"
	c.want("getEdoc of an unknown docId is refused with 10", c.good, "getEdoc", []byte("{}"), "", "10", "docId", unknown)
	c.want("updateStatus of an unknown docId is refused with 10", c.good, "updateStatus", []byte("{}"), "", "10", "docId", unknown, "status", "processing")
	c.want("a wrong secret is refused with 15", c.wrong, "getAgenciesList", nil, "", "15")
	c.want("a timestamp of last year is refused with 15", c.old, "getAgenciesList", nil, "", "15")
	for what, x := range map[string]*Client{"of an unknown docId": c.good, "with a wrong secret": c.wrong} {
		a, err := x.call(http.MethodGet, "downloadEdoc", nil, "docId", unknown)
		if err == nil && (a.Status == http.StatusOK || len(a.Body) > 0) {
			err = fmt.Errorf("status %d with %d bytes, which the client stores as the document", a.Status, len(a.Body))
		}
		c.note("downloadEdoc "+what+" is a failure without a body", err)
	}
	for _, s := range []struct {
		check, code, hash string
		x                 *Client
	}{
		{"sendEdoc with a wrong secret is refused with 15 and DocId", "15", "", c.wrong},
		{"sendEdoc of what is no edXML is refused with 22 and DocId", "22", "", c.good},
		{"sendEdoc with the hash of another file is refused with 21 and DocId", "21", hashFile([]byte("another")), c.good},
	} {
		file := []byte("<edXML/>")
		if s.hash == "" {
			s.hash = hashFile(file)
		}
		r, err := s.x.SendHashed("", "edoc", "", file, s.hash)
		if err == nil && (r.Status != "FAIL" || r.ErrorCode != s.code) {
			err = fmt.Errorf("the client reads %q %q", r.Status, r.ErrorCode)
		}
		c.note(s.check, err)
	}
}
