package axisapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"truc/internal/documents/axis"
)

// rest is a program that uses the REST binding.
type rest struct {
	c     *center
	token string
}

func (x *rest) do(method, path string, body io.Reader, headers ...string) (got, []byte) {
	x.c.t.Helper()
	r, err := http.NewRequestWithContext(x.c.t.Context(), method, x.c.srv.URL+DefaultPrefix+"/v1/"+path, body)
	if err != nil {
		x.c.t.Fatal(err)
	}
	if x.token != "" {
		r.Header.Set("Authorization", "Bearer "+x.token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		x.c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		x.c.t.Fatal(err)
	}
	return got{resp.StatusCode, resp.Header}, b
}

// got is an answer without its body.
type got struct {
	status int
	header http.Header
}

// call makes a call that must have a status, and reads its answer.
func (x *rest) call(status int, v any, method, path string, body io.Reader, headers ...string) http.Header {
	x.c.t.Helper()
	resp, b := x.do(method, path, body, headers...)
	if resp.status != status {
		x.c.t.Fatalf("%s %s: %d %s, want %d", method, path, resp.status, b, status)
	}
	want := "application/json"
	if status >= 400 {
		want = "application/problem+json"
	}
	if got := resp.header.Get("Content-Type"); got != want {
		x.c.t.Errorf("%s %s: %s", method, path, got)
	}
	if err := json.Unmarshal(b, v); err != nil {
		x.c.t.Fatalf("%s %s: %v in %s", method, path, err, b)
	}
	return resp.header
}

func (c *center) rest(system string) *rest {
	c.t.Helper()
	x := &rest{c: c}
	var g grant
	x.call(200, &g, "POST", "token", strings.NewReader("grant_type=client_credentials"), "Content-Type", "application/x-www-form-urlencoded",
		"Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(system+":"+c.secrets[system])))
	if g.TokenType != "Bearer" || g.ExpiresIn != 1800 {
		c.t.Errorf("grant %+v", g)
	}
	x.token = g.AccessToken
	return x
}

// edocForm is a multipart form with a document.
func edocForm(kind string, file []byte, extra ...string) (io.Reader, string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, _ := w.CreateFormFile("edocFile", "08.edxml") // a buffer takes everything
	_, _ = part.Write(file)
	_ = w.WriteField("messageType", kind)
	for i := 0; i+1 < len(extra); i += 2 {
		_ = w.WriteField(extra[i], extra[i+1])
	}
	_ = w.Close()
	return &b, w.FormDataContentType()
}

type restAnswer struct {
	restProblem
	DocID    string           `json:"docId"`
	Repeated bool             `json:"repeated"`
	Count    int              `json:"count"`
	Rows     []map[string]any `json:"-"`
}

func TestRESTGoesAllTheWay(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		so := c.rest("vidu.01")
		file := c.bytes(letter("08", []string{"G98"}))
		send := func(status int, kind string, file []byte, headers ...string) restAnswer {
			t.Helper()
			var a restAnswer
			body, ct := edocForm(kind, file)
			so.call(status, &a, "POST", "sendEdoc", body, append([]string{"Content-Type", ct}, headers...)...)
			return a
		}
		first := send(200, "edoc", file, "Idempotency-Key", "k1")
		if first.DocID == "" || first.Repeated {
			t.Fatalf("sent: %+v", first)
		}
		if again := send(200, "edoc", file, "Idempotency-Key", "k1"); again.DocID != first.DocID || !again.Repeated {
			t.Errorf("again: %+v", again)
		}
		other := c.bytes(letter("09", []string{"G98"}))
		if a := send(409, "edoc", other, "Idempotency-Key", "k1"); a.Code != "axis.rest.idempotency" {
			t.Errorf("another file under the same key: %+v", a)
		}
		c.clock.add(keyLife + time.Second)
		so = c.rest("vidu.01") // the token has ended
		bo := c.rest("bovidu.01")
		send(200, "edoc", other, "Idempotency-Key", "k1")

		var list struct {
			Count int              `json:"count"`
			Data  []map[string]any `json:"data"`
		}
		bo.call(200, &list, "GET", "syncReceivedEdocList?messageType=edoc&fromDate=2026/03/05&toDate=2026/03/05", nil)
		if list.Count != 1 || list.Data[0]["from"] != "H99.07" || list.Data[0]["createdTime"] != "2026-03-05T09:15:00.000+07:00" {
			t.Fatalf("received: %+v", list)
		}
		id := list.Data[0]["docId"].(string)
		resp, whole := bo.do("GET", "getEdoc?docId="+id, nil)
		if resp.status != http.StatusOK || !bytes.Equal(whole, file) {
			t.Errorf("getEdoc: %d, %d bytes", resp.status, len(whole))
		}
		resp, part := bo.do("GET", "getEdoc?docId="+id, nil, "Range", "bytes=100-", "If-Range", resp.header.Get("ETag"))
		if resp.status != http.StatusPartialContent || !bytes.Equal(part, file[100:]) {
			t.Errorf("the rest of it: %d, %d bytes", resp.status, len(part))
		}
		var done restDone
		bo.call(200, &done, "POST", "updateStatus", strings.NewReader(`{"docId":"`+id+`","status":"fail","description":"Không đọc được \u0000tệp"}`))
		bo.call(200, &list, "GET", "syncReceivedEdocList?messageType=edoc", nil)
		if list.Data[0]["statusDesc"] != "Không đọc được tệp" {
			t.Errorf("reason: %q", list.Data[0]["statusDesc"])
		}
		bo.call(200, &done, "POST", "updateStatus", strings.NewReader(`{"docId":"`+id+`","status":"done"}`))
		var p restProblem
		bo.call(400, &p, "POST", "updateStatus", strings.NewReader(`{"docId":"`+id+`","status":"fail"}`))
		if p.Success || p.Data.ErrorCode != "10" || p.Data.ErrorDesc == "" {
			t.Errorf("done is final: %+v", p)
		}
		so.call(200, &list, "GET", "getSentEdocList?messageType=edoc&docId="+first.DocID, nil)
		if list.Count != 1 || list.Data[0]["receiveStatus"] != "done" {
			t.Errorf("sent: %+v", list)
		}
		so.call(200, &list, "GET", "getAgenciesList", nil)
		if list.Count != 4 {
			t.Errorf("agencies: %+v", list)
		}
		so.call(200, &list, "GET", "receipts/"+first.DocID, nil)
		bo.call(404, &p, "GET", "receipts/"+first.DocID, nil) // it has its copy, not the message

		var events restEvents
		so.call(200, &events, "GET", "events?after=0", nil)
		var seen []string
		for _, e := range events.Data {
			if e.DocID == first.DocID && e.Event != string(axis.EvRepeated) {
				seen = append(seen, e.Event)
			}
		}
		if strings.Join(seen, " ") != "accepted queued opened failed delivered" {
			t.Errorf("events: %v", seen)
		}
		next := events.Next
		so.call(200, &events, "GET", "events?wait=1&after="+itoa(int(next)), nil)
		if len(events.Data) != 0 || events.Next != next {
			t.Errorf("nothing new: %+v", events)
		}
	})
}

// TestRESTEventsWait: a waiting program hears within a second or two of what happens.
func TestRESTEventsWait(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		so, bo := c.rest("vidu.01"), c.rest("bovidu.01")
		var events restEvents
		bo.call(200, &events, "GET", "events", nil)
		heard := make(chan restEvents)
		go func() {
			var e restEvents
			_, b := bo.do("GET", "events?wait=60&after="+itoa(int(events.Next)), nil)
			if err := json.Unmarshal(b, &e); err != nil {
				t.Error(err)
			}
			heard <- e
		}()
		body, ct := edocForm("edoc", c.bytes(letter("08", []string{"G98"})))
		var a restAnswer
		so.call(200, &a, "POST", "sendEdoc", body, "Content-Type", ct)
		if e := <-heard; len(e.Data) == 0 || e.Data[0].DocID != a.DocID || e.Data[0].ReceiverDocID == "" {
			t.Errorf("heard %+v", e)
		}
	})
}

func TestRESTRefusals(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		so, nobody := c.rest("vidu.01"), &rest{c: c}
		var p restProblem
		want := func(code string) {
			t.Helper()
			if p.Success || p.Data == nil || p.Data.ErrorCode != code || p.Detail == "" || strings.HasPrefix(p.Detail, "[") {
				t.Errorf("problem %+v, want code %s", p, code)
			}
			p = restProblem{}
		}
		form := []string{"Content-Type", "application/x-www-form-urlencoded"}
		nobody.call(401, &p, "POST", "token", strings.NewReader("grant_type=client_credentials&client_id=vidu.01&client_secret=x"), form...)
		want("15")
		nobody.call(401, &p, "POST", "auth/login", strings.NewReader(`{"username":"none","password":"x","otp":null}`))
		want("15")
		nobody.call(400, &p, "POST", "token", strings.NewReader("grant_type=password"), form...)
		want("10")
		resp := nobody.call(401, &p, "GET", "getAgenciesList", nil)
		want("15")
		if resp.Get("WWW-Authenticate") == "" {
			t.Error("401 without a challenge")
		}
		var in loginReply
		nobody.call(200, &in, "POST", "auth/login?allow_anonymous=true", strings.NewReader(`{"username":"vidu.01","password":"`+c.secrets["vidu.01"]+`","applicationCode":"x","typeObjs":[]}`))
		old := &rest{c: c, token: in.Data.Token}
		var list map[string]any
		old.call(200, &list, "GET", "getAgenciesList", nil, "X-SystemId", "vidu.01", "X-SecretKey", c.secrets["vidu.01"])
		old.call(401, &p, "GET", "getAgenciesList", nil, "X-SystemId", "bovidu.01")
		want("15")
		old.call(401, &p, "GET", "getAgenciesList", nil, "X-SecretKey", "x")
		want("15")
		forged := &rest{c: c, token: strings.Replace(so.token, ".", "A.", 1)}
		forged.call(401, &p, "GET", "getAgenciesList", nil)
		want("15")
		for _, token := range []string{"", ".", "a.b", strings.Repeat("a", 9000), base64.RawURLEncoding.EncodeToString([]byte("vidu.01\n99999999999\nx")) + "." + mac([]byte(""), []byte("x"))} {
			(&rest{c: c, token: token + " "}).call(401, &p, "GET", "getAgenciesList", nil)
			want("15")
		}

		send := func(status int, code, kind string, file []byte, extra ...string) {
			t.Helper()
			body, ct := edocForm(kind, file, extra...)
			so.call(status, &p, "POST", "sendEdoc", body, "Content-Type", ct)
			want(code)
		}
		good := c.bytes(letter("08", []string{"G98"}))
		send(400, "10", "letter", good)
		send(400, "21", "edoc", nil)
		send(400, "21", "edoc", good, "sha256", strings.Repeat("0", 64))
		send(400, "22", "edoc", []byte("<edXML/>"))
		send(404, "18", "edoc", c.bytes(letter("08", []string{"G11"})))
		send(403, "19", "edoc", bytes.ReplaceAll(good, []byte("H99.07"), []byte("G97")))
		so.call(400, &p, "POST", "sendEdoc", strings.NewReader("x"), "Content-Type", "text/plain")
		want("10")
		so.call(400, &p, "POST", "updateStatus", strings.NewReader("<"))
		want("10")
		so.call(400, &p, "GET", "events?after=-1", nil)
		want("10")
		for _, id := range []string{"none", "%00", "%ff", url.QueryEscape("' OR 1=1")} {
			so.call(404, &p, "GET", "getEdoc?docId="+id, nil)
			want("10")
			so.call(200, &list, "GET", "getSentEdocList?messageType=edoc&docId="+id, nil)
			so.call(200, &list, "GET", "syncReceivedEdocList?messageType=edoc&to="+id, nil)
		}
		for _, path := range []string{"none", "receipts/", "receipts/a/b", "", "receipts/%00"} {
			so.call(404, &p, "GET", path, nil)
			want("10")
		}

		// A token ends with its time, with the secret, and with the system.
		c.clock.add(tokenLife)
		so.call(401, &p, "GET", "getAgenciesList", nil)
		want("15")
		fresh := c.rest("vidu.01")
		if _, err := c.hub.RotateSecret(t.Context(), "test", "vidu.01", 0); err != nil {
			t.Fatal(err)
		}
		fresh.call(401, &p, "GET", "getAgenciesList", nil)
		want("15")
		shut := c.rest("bovidu.01")
		if err := c.hub.SuspendSystem(t.Context(), "test", "bovidu.01", true); err != nil {
			t.Fatal(err)
		}
		shut.call(401, &p, "GET", "getAgenciesList", nil)
		want("15")

		// Who guesses secrets waits.
		for i := 0; ; i++ {
			resp, _ := nobody.do("POST", "auth/login", strings.NewReader(`{"username":"vidu.01","password":"x"}`))
			if resp.status == http.StatusTooManyRequests {
				break
			}
			if i > 100 {
				t.Fatal("secrets can be guessed at without end")
			}
		}
	})
}

// TestOpenAPINamesEveryCall holds the description against the table of calls.
func TestOpenAPINamesEveryCall(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(description), &doc); err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for path, ops := range doc.Paths {
		if i := strings.Index(path, "{"); i >= 0 {
			path = path[:i]
		}
		for method := range ops {
			described[strings.ToUpper(method)+" "+strings.TrimPrefix(path, "/")] = true
		}
	}
	for call := range restCalls {
		if !described[call] {
			t.Errorf("%s is not described", call)
		}
		delete(described, call)
	}
	if len(described) > 0 {
		t.Errorf("described, but not there: %v", described)
	}
	c := &API{Prefix: "/truc-van-ban", Now: func() time.Time { return start }}
	if got := c.prefix(); got != "/truc-van-ban" || !strings.Contains(description, `"url": "`+DefaultPrefix+`/v1"`) {
		t.Errorf("prefix %s", got)
	}
}
