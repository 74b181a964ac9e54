package axisapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"truc/internal/storage/storagetest"
)

// signedRequest makes a request as a client would, but with any parameters and any body.
func signedRequest(method, name, system, secret, stamp string, params map[string]string, body []byte) *http.Request {
	all := map[string]string{"systemid": system, "timestamp": stamp, "Content-Type": "application/json"}
	maps.Copy(all, params)
	text := map[string]string{}
	r := httptest.NewRequest(method, "/x", bytes.NewReader(body))
	r.URL.Path = DefaultPrefix + "/" + name
	var keys []string
	for k, v := range all {
		text[headerPrefix+k] = v
		r.Header.Set(headerPrefix+k, v)
		keys = append(keys, k)
	}
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	r.Header.Set(headSigned, string(b))
	r.Header.Set(headKeys, strings.Join(keys, ";"))
	r.Header.Set(headHash, mac([]byte(secret), b))
	return r
}

// checkReply holds an answer against the rules of the protocol, each of which a client breaks on when it is broken.
func checkReply(name string, w *httptest.ResponseRecorder) error {
	body := w.Body.Bytes()
	if name == callDownload {
		if w.Code != http.StatusOK && len(body) > 0 {
			return fmt.Errorf("a failed download has the body %q", body)
		}
		return nil
	}
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json; charset=utf-8" || w.Header().Get("Location") != "" {
		return fmt.Errorf("status %d, %s", w.Code, w.Header())
	}
	if n := w.Header().Get("Content-Length"); n != strconv.Itoa(len(body)) {
		return fmt.Errorf("%s bytes announced, %d sent", n, len(body))
	}
	for _, c := range body {
		if c < 0x20 || c > 0x7e {
			return fmt.Errorf("byte %#x in %q", c, body)
		}
	}
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		return fmt.Errorf("%w in %q", err, body)
	}
	if err := noNull(v); err != nil {
		return fmt.Errorf("%w in %q", err, body)
	}
	for _, k := range []string{"status", "ErrorCode", "ErrorDesc"} {
		if _, ok := v[k].(string); !ok {
			return fmt.Errorf("no %s in %q", k, body)
		}
	}
	switch v["status"] {
	case "FAIL":
		if id, ok := v["DocId"].(string); !ok || id != "" || v["ErrorCode"] == "0" || v["ErrorDesc"] == "" {
			return fmt.Errorf("a refusal reads %q", body)
		}
		if strings.HasPrefix(v["ErrorDesc"].(string), "[") {
			return fmt.Errorf("no words for %q", body)
		}
	case "OK":
		if _, ok := v["DocId"].(string); name == callSend && !ok || v["ErrorCode"] != "0" {
			return fmt.Errorf("a success reads %q", body)
		}
	default:
		return fmt.Errorf("status %v", v["status"])
	}
	return nil
}

func noNull(v any) error {
	switch v := v.(type) {
	case nil:
		return fmt.Errorf("null")
	case map[string]any:
		for k, e := range v {
			if err := noNull(e); err != nil {
				return fmt.Errorf("%s: %w", k, err)
			}
		}
	case []any:
		for _, e := range v {
			if err := noNull(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// hostile are values that parameters may have.
var hostile = []string{"", " ", "edoc", "status", "eDoc", "null", "[]", "[null]", `["G98"]`, "done", "fail", "processing", "-1", "0", "99999999999999999999", "2026/03/05", "31/02/2026", "ế", "' OR 1=1 --", "%00", strings.Repeat("a", 5000), "11111111-1111-4111-8111-111111111111", "\u2028", "H99.07"}

// TestEveryReplyKeepsTheRules asks every call with every value for each parameter, signed, badly signed and not at all.
func TestEveryReplyKeepsTheRules(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ok(t)(c.client("vidu.01").Send("H99.07", "edoc", "", c.bytes(letter("08", []string{"G98"}))))
		names := append(slices.Sorted(maps.Keys(calls)), "", "noSuchCall", "..", "v2", "sendEdoc/more")
		params := []string{"docId", "messagetype", "status", "description", "to", "fromDate", "pageSize", "pageIndex", "AgencyCode", "level", "hash-file"}
		ask := func(name string, r *http.Request) {
			t.Helper()
			w := httptest.NewRecorder()
			c.api.ServeHTTP(w, r)
			if err := checkReply(name, w); err != nil {
				t.Errorf("%s %s: %v", r.Method, name, err)
			}
		}
		stamp := formatStamp(start)
		for _, name := range names {
			for _, secret := range []string{c.secrets["bovidu.01"], "wrong"} {
				for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodPut} {
					ask(name, signedRequest(method, name, "bovidu.01", secret, stamp, nil, []byte("{}")))
				}
			}
			bare := httptest.NewRequest(http.MethodPost, "/x", strings.NewReader("<html>"))
			bare.URL.Path = DefaultPrefix + "/" + name
			ask(name, bare)
			for _, p := range params {
				for _, v := range hostile {
					set := map[string]string{"messagetype": "edoc", p: v}
					method := http.MethodPost
					if name == callDownload {
						method = http.MethodGet
					}
					ask(name, signedRequest(method, name, "bovidu.01", c.secrets["bovidu.01"], stamp, set, []byte("{}")))
				}
			}
		}
		for _, body := range []string{"", "{}", "null", "[]", `{"code":null,"name":null}`, `{"code":1,"name":[]}`, `{"code":"G98.\u0000","name":"\u0000"}`, `{"code":"G98.02","name":"x","id":"7"}`, strings.Repeat("[", 10_000), strings.Repeat("a", smallBody+1)} {
			ask("registerAgency", signedRequest(http.MethodPost, "registerAgency", "bovidu.01", c.secrets["bovidu.01"], stamp, nil, []byte(body)))
		}
	})
}

// TestFaultsKeepTheRules: also when the axis itself fails, and when a handler panics.
func TestFaultsKeepTheRules(t *testing.T) {
	db := storagetest.OpenSQLite(t)
	c := newCenter(t, db)
	stamp, secret := formatStamp(start), c.secrets["bovidu.01"]
	check := func(why string) {
		t.Helper()
		for name, call := range calls {
			w := httptest.NewRecorder()
			c.api.ServeHTTP(w, signedRequest(call.method, name, "bovidu.01", secret, stamp, map[string]string{"messagetype": "edoc", "status": "done", "docId": "x", "hash-file": looseHex(make([]byte, 32))}, []byte("{}")))
			if err := checkReply(name, w); err != nil {
				t.Errorf("%s, %s: %v", why, name, err)
			}
			if name != callDownload && !strings.Contains(w.Body.String(), `"FAIL"`) {
				t.Errorf("%s, %s: %s", why, name, w.Body)
			}
		}
	}
	c.api.Limits = Limits{PerSecond: 1, AtOnce: 1}
	leave, _ := c.api.gate.enter("bovidu.01", start, c.api.Limits)
	check("too many at once")
	leave()
	c.api.Limits = Limits{}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	check("the database is away")
	c.api.Hub = nil
	check("panic")
}

// FuzzCalls asks any call for anything with a good signature: no answer breaks a rule of the protocol.
func FuzzCalls(f *testing.F) {
	c := newCenter(f, storagetest.OpenSQLite(f))
	f.Add("sendEdoc", "messagetype", "edoc", "hash-file", "", []byte("<edXML/>\r\n"))
	f.Add("getReceivedEdocList", "messagetype", "status", "to", `["G98"]`, []byte(""))
	f.Add("updateStatus", "status", "done", "docId", "x", []byte("{}"))
	f.Add("registerAgency", "docid", "a", "b", "c", []byte(`{"id":"","pcode":"G98","code":"G98.03","name":"Vụ"}`))
	f.Add("downloadEdoc", "docId", "a", "b", "c", []byte(``))
	f.Add("getSentEdocList", "messagetype", "edoc", "docId", "1", []byte(``))
	f.Fuzz(func(t *testing.T, name, k1, v1, k2, v2 string, body []byte) {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			w := httptest.NewRecorder()
			if strings.HasPrefix(name, "v1/") || name == "v1" {
				return
			}
			c.api.ServeHTTP(w, signedRequest(method, name, "bovidu.01", c.secrets["bovidu.01"], formatStamp(start), map[string]string{k1: v1, k2: v2}, body))
			if err := checkReply(name, w); err != nil {
				t.Errorf("%s %q: %v", method, name, err)
			}
		}
	})
}
