package axisapi

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/edxml"
	"truc/internal/documents/axis"
	"truc/internal/documents/axisapi/vxptest"
)

// TestSDKDoesEverything goes through every call of the SDK with one client object a system, whose headers leak from call to call.
func TestSDKDoesEverything(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		so, bo := c.client("vidu.01"), c.client("bovidu.01")

		for name, list := range map[string]func() (*vxptest.Result, error){
			"getAgenciesList": so.Agencies, "getSynchronizeUnit": so.Units, "getAgenciesListQD20": func() (*vxptest.Result, error) { return so.AgenciesQD20("1") },
		} {
			if r := ok(t)(list()); len(r.Data) != 4 || r.Data[0]["name"] == "" {
				t.Errorf("%s: %v", name, r.Data)
			}
		}

		// An agency of the own system, its code's last group of nine characters, and its name in Vietnamese.
		const code, name = "H99.07.ABCDE1234", "Phòng Quản lý Đô thị và Hạ tầng kỹ thuật"
		ok(t)(so.Register(vxptest.Agency{PCode: "H99.07", Code: code, Name: name, Mail: "qldt@vidu.example", Mobile: "0200000000"}))
		find := func(r *vxptest.Result) map[string]any {
			for _, row := range r.Data {
				if row["code"] == code {
					return row
				}
			}
			return nil
		}
		row := find(ok(t)(so.Agencies()))
		if row == nil || row["name"] != name || row["mail"] != "qldt@vidu.example" || row["pid"] == "" {
			t.Fatalf("registered agency: %v", row)
		}
		ok(t)(so.Register(vxptest.Agency{ID: row["id"].(string), PCode: "H99.07", Code: code, Name: name + " II"}))
		if row := find(ok(t)(bo.Agencies())); row["name"] != name+" II" {
			t.Errorf("changed agency: %v", row)
		}
		ok(t)(so.Delete(code))
		if row := find(ok(t)(so.Agencies())); row != nil {
			t.Errorf("a deleted agency is listed: %v", row)
		}
		if row := find(ok(t)(so.Units())); row["deleted"] != true {
			t.Errorf("a deleted agency is not marked: %v", row)
		}
		failed(t, "10")(so.RegisterRaw([]byte(`{"id":"", "pcode":"H99", broken`)))
		failed(t, "10")(so.Register(vxptest.Agency{PCode: "G98", Code: "G98.01", Name: "Của người khác"}))

		// A PDF, a text, and three megabytes of anything.
		noise := make([]byte, 3<<20)
		for i := range noise {
			noise[i] = byte(rand.Uint32())
		}
		copy(noise, "PK\x03\x04")
		file := c.bytes(letter("08", []string{"G98"}, attached{"08-SM-VP.pdf", "%PDF-1.4\n%%EOF\n"}, attached{"ghi chu.txt", "Kính gửi\n"}, attached{"phu luc.docx", string(noise)}))
		sent := ok(t)(so.Send("H99.07", "edoc", `["G98"]`, file))
		if sent.DocID == "" {
			t.Fatal("no DocId")
		}
		if r := ok(t)(bo.CountEdoc()); r.Count != 1 {
			t.Errorf("countReceiveEdoc = %d", r.Count)
		}
		if r := ok(t)(bo.CountStatus()); r.Count != 0 {
			t.Errorf("countReceiveStatus = %d", r.Count)
		}
		got := ok(t)(bo.Received("edoc"))
		if len(got.Data) != 1 {
			t.Fatalf("received: %v", got.Data)
		}
		in := got.Data[0]
		want := map[string]any{
			"serviceType": "eDoc", "messageType": "edoc", "from": "H99.07", "to": "G98", "status": "initial", "status_desc": "",
			"created_time": "2026/03/05 09:15:00", "updated_time": "2026/03/05 09:15:00",
		}
		for k, v := range want {
			if in[k] != v {
				t.Errorf("%s = %v, want %v", k, in[k], v)
			}
		}
		id := in["docId"].(string)
		if r := ok(t)(bo.Get(id)); !bytes.Equal(r.File, file) {
			t.Errorf("getEdoc gives %d bytes, %d were sent", len(r.File), len(file))
		}
		if r, err := bo.Download(id); err != nil || r.Status != "SUCCESS" || !bytes.Equal(r.File, file) {
			t.Errorf("downloadEdoc: %v, %v", r.Status, err)
		}
		ok(t)(bo.Update(id, "processing", ""))
		if r := ok(t)(bo.Received("edoc")); len(r.Data) != 1 || r.Data[0]["status"] != "processing" {
			t.Errorf("processing: %v", r.Data)
		}
		ok(t)(bo.Update(id, "fail", "khong doc duoc tep"))
		if r := ok(t)(bo.Received("edoc")); len(r.Data) != 1 || r.Data[0]["status"] != "fail" || r.Data[0]["status_desc"] != "khong doc duoc tep" {
			t.Errorf("fail: %v", r.Data)
		}
		c.clock.add(time.Minute)
		ok(t)(bo.Update(id, "done", ""))
		if r := ok(t)(bo.Received("edoc")); r.Data == nil || len(r.Data) != 0 {
			t.Errorf("done: %v", r.Data)
		}
		rows := ok(t)(so.Sentlist("edoc", "")).Data
		if len(rows) != 1 {
			t.Fatalf("sent: %v", rows)
		}
		want = map[string]any{
			"serviceType": "eDoc", "messageType": "edoc", "senderDocId": sent.DocID, "receiverDocId": id, "fromCode": "H99.07", "toCode": "G98",
			"title": "V/v thử nghiệm liên thông", "notation": "08/SM-VP", "sentTime": "2026/03/05 09:15:00", "receivedTime": "2026/03/05 09:16:00",
			"sendStatus": "done", "sendStatusDesc": "", "receiveStatus": "done", "receiveStatusDesc": "",
		}
		for k, v := range want {
			if rows[0][k] != v {
				t.Errorf("%s = %v, want %v", k, rows[0][k], v)
			}
		}
		if r := ok(t)(bo.CountEdoc()); r.Count != 0 {
			t.Errorf("countReceiveEdoc = %d", r.Count)
		}
	})
}

// TestSDKStatusesAndKinds sends every status and every kind of document between two systems, and reads them at the other side.
func TestSDKStatusesAndKinds(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		so, bo := c.client("vidu.01"), c.client("bovidu.01")
		take := func(from *vxptest.Client, kind string) *edxml.Message {
			t.Helper()
			rows := ok(t)(from.Received(kind)).Data
			if len(rows) != 1 {
				t.Fatalf("waiting: %v", rows)
			}
			id := rows[0]["docId"].(string)
			f := ok(t)(from.Get(id)).File
			m, err := edxml.Read(bytes.NewReader(f), edxml.ReadOptions{Now: c.clock.now()})
			if err != nil {
				t.Fatal(err)
			}
			ok(t)(from.Update(id, "done", ""))
			return m
		}
		first := letter("08", []string{"G98"})
		ok(t)(so.Send("H99.07", "edoc", `["G98"]`, c.bytes(first)))
		if m := take(bo, "edoc"); m.DocumentID != first.DocumentID || m.Business.Kind != edxml.New {
			t.Errorf("new document: %+v", m.Business)
		}
		for _, s := range []struct{ code, from, to, reason string }{
			{"01", "G98", "H99.07", ""},
			{"03", "G98", "H99.07", "Đã tiếp nhận, số đến 112"},
			{"04", "G98", "H99.07", ""},
			{"05", "G98", "H99.07", ""},
			{"06", "G98", "H99.07", ""},
			{"13", "H99.07", "G98", "Gửi nhầm"},
			{"15", "G98", "H99.07", ""},
			{"16", "G98", "H99.07", "Đã ban hành văn bản trả lời"},
			{"02", "G98", "H99.07", "Không thuộc thẩm quyền"},
		} {
			by, to := bo, so
			if s.code == "13" { // the sender asks the document back
				by, to = so, bo
			}
			c.clock.add(time.Second)
			x := status(s.code, s.from, s.to, first.DocumentID, s.reason)
			x.Status.At = c.clock.now()
			ok(t)(by.Send(s.from, "status", `["`+s.to+`"]`, c.bytes(x)))
			m := take(to, "status")
			if m.Status == nil || m.Status.Code != s.code || m.Status.Description != s.reason || m.ResponseFor[0].DocumentID != first.DocumentID {
				t.Errorf("status %s arrives as %+v", s.code, m.Status)
			}
		}
		for n, change := range []func(*edxml.Message){
			func(m *edxml.Message) {
				m.Business = edxml.Business{Kind: edxml.Revocation, DocumentID: first.DocumentID, Reason: "Ban hành nhầm"}
			},
			func(m *edxml.Message) {
				m.Business = edxml.Business{Kind: edxml.Update, DocumentID: first.DocumentID, Reason: "Thêm nơi nhận", Changes: []edxml.Change{{Content: true}}}
			},
			func(m *edxml.Message) {
				m.Business = edxml.Business{Kind: edxml.Replacement, Reason: "Thay thế", Replaces: []edxml.Replaced{{DocumentID: first.DocumentID, OrganIDs: []string{"G98"}}}}
			},
		} {
			x := letter(fmt.Sprintf("1%d", n), []string{"G98"})
			change(x)
			ok(t)(so.Send("H99.07", "edoc", `["G98"]`, c.bytes(x)))
			m := take(bo, "edoc")
			if int(m.Business.Kind) != n+1 || !slices.Equal(edxml.Originals(m), []string{first.DocumentID}) {
				t.Errorf("kind %d arrives as %+v", n+1, m.Business)
			}
		}
	})
}

// TestSDKSeesRefusals: the caller reads FAIL and the number, and nothing is stored.
func TestSDKSeesRefusals(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		so, bo := c.client("vidu.01"), c.client("bovidu.01")
		good := c.bytes(letter("08", []string{"G98"}))

		wrong := vxptest.New(c.srv.URL+DefaultPrefix, "vidu.01", "not the secret", c.clock.now())
		defer wrong.Close()
		r := failed(t, "15")(wrong.Send("H99.07", "edoc", `["G98"]`, good))
		failed(t, "15")(wrong.Received("edoc"))
		nobody := vxptest.New(c.srv.URL+DefaultPrefix, "nobody.01", "not the secret", c.clock.now())
		defer nobody.Close()
		if other := failed(t, "15")(nobody.Send("H99.07", "edoc", `["G98"]`, good)); other.ErrorDesc != r.ErrorDesc {
			t.Errorf("a wrong secret and an unknown system read differently: %q, %q", r.ErrorDesc, other.ErrorDesc)
		}
		if r := failed(t, "18")(so.Send("H99.07", "edoc", `["G11"]`, c.bytes(letter("08", []string{"G98", "G11"})))); !strings.Contains(r.ErrorDesc, "G11") {
			t.Errorf("the unknown receiver is not named: %q", r.ErrorDesc)
		}
		failed(t, "18")(so.Send("H99.07", "edoc", "", c.bytes(letter("08", []string{"không phải mã"}))))
		failed(t, "19")(bo.Send("G98", "edoc", `["G97"]`, c.bytes(letter("08", []string{"G97"}))))
		failed(t, "22")(so.Send("H99.07", "edoc", `["G98"]`, []byte("<edXML/>")))
		failed(t, "22")(so.Send("H99.07", "edoc", `["G98"]`, []byte("PK\x03\x04 no XML at all")))
		failed(t, "22")(so.Send("H99.07", "edoc", `["G98"]`, append([]byte("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>"), good...)))
		failed(t, "10")(so.Send("H99.07", "letter", `["G98"]`, good))
		failed(t, "10")(bo.Get("11111111-1111-4111-8111-111111111111"))
		if err := c.hub.LockAgency(t.Context(), "test", "G97", true); err != nil {
			t.Fatal(err)
		}
		failed(t, "23")(so.Send("H99.07", "edoc", `["G97"]`, c.bytes(letter("09", []string{"G97"}))))

		if r := ok(t)(bo.CountEdoc()); r.Count != 0 {
			t.Errorf("%d refused documents wait", r.Count)
		}
		ok(t)(so.Send("H99.07", "edoc", `["G98"]`, good))
		rows := ok(t)(bo.Received("edoc")).Data
		id := rows[0]["docId"].(string)
		failed(t, "10")(so.Get(id)) // another system's copy does not exist
		failed(t, "10")(so.Update(id, "done", ""))
		if r, err := so.Download(id); err != nil || r.Status != "FAIL" || len(r.Answer.Body) != 0 {
			t.Errorf("downloadEdoc of a foreign copy: %+v, %v", r, err)
		}
		failed(t, "10")(bo.Update(id, "received", ""))
		failed(t, "20")(bo.Call("noSuchCall"))
	})
}

// TestSDKRepetition: the same bytes are one message, whether they come one after another, together, or because a connection broke.
func TestSDKRepetition(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		so, bo := c.client("vidu.01"), c.client("bovidu.01")
		file := c.bytes(letter("08", []string{"G98", "G97"}))
		first := ok(t)(so.Send("H99.07", "edoc", "", file)).DocID
		if again := ok(t)(so.Send("H99.07", "edoc", "", file)).DocID; again != first {
			t.Errorf("DocId %s, then %s", first, again)
		}

		parallel := c.bytes(letter("09", []string{"G98", "G97"}))
		ids := make([]string, 8)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				x := c.client("vidu.01")
				r, err := x.Send("H99.07", "edoc", "", parallel)
				if err != nil || r.Status != "OK" {
					t.Errorf("in parallel: %+v, %v", r, err)
					return
				}
				ids[i] = r.DocID
			})
		}
		wg.Wait()
		if slices.Sort(ids); ids[0] == "" || len(slices.Compact(ids)) != 1 {
			t.Errorf("in parallel: %v", ids)
		}

		broken := c.clientAt("http://"+breaking(t, c.srv.Listener.Addr().String(), 1), "vidu.01")
		dropped := c.bytes(letter("10", []string{"G98", "G97"}))
		id := ok(t)(broken.Send("H99.07", "edoc", "", dropped)).DocID
		if broken.Sent != 2 {
			t.Errorf("the document was on the wire %d times, want 2", broken.Sent)
		}
		rows := ok(t)(so.Sentlist("edoc", "")).Data
		seen := map[string]int{}
		copies := map[string]bool{}
		for _, r := range rows {
			seen[r["senderDocId"].(string)]++
			copies[r["receiverDocId"].(string)] = true
		}
		if len(rows) != 6 || len(copies) != 6 || seen[first] != 2 || seen[id] != 2 {
			t.Errorf("%d rows, %d copies, %v", len(rows), len(copies), seen)
		}
		if r := ok(t)(bo.CountEdoc()); r.Count != 6 {
			t.Errorf("%d copies wait, want 6", r.Count)
		}

		other := letter("08", []string{"G98"})
		other.Subject = "Nội dung khác"
		r := failed(t, "22")(so.Send("H99.07", "edoc", "", c.bytes(other)))
		var wire struct{ ErrorDesc string }
		if err := json.Unmarshal(r.Answer.Body, &wire); err != nil || !strings.Contains(strings.ToLower(wire.ErrorDesc), "trùng mã định danh") {
			t.Errorf("other bytes of the same identifier: %q, %v", wire.ErrorDesc, err)
		}
	})
}

// TestLeakedHeaders: what earlier calls of a client object left behind changes nothing.
func TestLeakedHeaders(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		so, bo := c.client("vidu.01"), c.client("bovidu.01")
		for _, n := range []string{"08", "09", "10"} {
			ok(t)(so.Send("H99.07", "edoc", "", c.bytes(letter(n, []string{"G98"}))))
			c.clock.add(time.Second)
		}
		clean := ok(t)(bo.Received("edoc")).Data
		leaky := c.client("bovidu.01")
		for k, v := range map[string]string{
			"docId": clean[1]["docId"].(string), "status": "done", "from": "H99.07", "to": `["H99.07"]`, "hash-file": "00", "filePath": `C:\a`, "description": "cu", "AgencyCode": "G98",
		} {
			leaky.Set(k, v)
		}
		if got := ok(t)(leaky.Received("edoc")).Data; !sameRows(got, clean) || len(got) != 3 {
			t.Errorf("with leaked headers %v, without %v", got, clean)
		}
		for to, want := range map[string]int{`["G98"]`: 3, `"[\"G98\"]"`: 3, "G98": 3, `["G97"]`: 0, `["G98","G97"]`: 3, `["H99"]`: 3, `[`: 3} {
			if got := ok(t)(c.client("bovidu.01").Received("edoc", "to", to)).Data; len(got) != want {
				t.Errorf("to %s: %d rows, want %d", to, len(got), want)
			}
		}
		sibling := c.client("bovidu.01") // what was sent to a sibling does not hide what came for the others
		failed(t, "22")(sibling.Send("G98", "edoc", `["G97"]`, []byte("<edXML/>")))
		if got := ok(t)(sibling.Received("edoc")).Data; len(got) != 3 {
			t.Errorf("after a document to a sibling: %d rows", len(got))
		}
		sent := ok(t)(so.Sentlist("edoc", "")).Data
		so.Set("docId", clean[0]["docId"].(string)) // a copy of somebody else
		if got := ok(t)(so.Sentlist("edoc", "")).Data; !sameRows(got, sent) || len(got) != 3 {
			t.Errorf("sent, with a foreign docId: %v", got)
		}
		if got := ok(t)(so.Sentlist("edoc", sent[1]["senderDocId"].(string))).Data; len(got) != 1 {
			t.Errorf("sent, with an own docId: %v", got)
		}
		id := clean[0]["docId"].(string)
		ok(t)(bo.Update(id, "fail", "loi ky thuat"))
		ok(t)(bo.Update(id, "processing", "")) // the description is sent again
		for _, row := range ok(t)(bo.Received("edoc")).Data {
			if row["docId"] == id && row["status_desc"] != "" {
				t.Errorf("processing keeps %q", row["status_desc"])
			}
		}
		ok(t)(bo.Update(id, "done", ""))
		for _, row := range ok(t)(c.client("vidu.01").Sentlist("edoc", "")).Data {
			if row["receiverDocId"] == id && (row["receiveStatus"] != "done" || row["receiveStatusDesc"] != "") {
				t.Errorf("done keeps %q", row["receiveStatusDesc"])
			}
		}
	})
}

func sameRows(a, b []map[string]any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// TestWindow: how far the timestamp of a client may be off.
func TestWindow(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		at := func(off time.Duration) *vxptest.Client {
			x := vxptest.New(c.srv.URL+DefaultPrefix, "bovidu.01", c.secrets["bovidu.01"], c.clock.now().Add(off))
			t.Cleanup(x.Close)
			return x
		}
		for _, h := range []time.Duration{23, -23} {
			ok(t)(at(h * time.Hour).Received("edoc"))
		}
		for _, h := range []time.Duration{25, -25} {
			failed(t, "15")(at(h * time.Hour).Received("edoc"))
		}
		ok(t)(at(987 * time.Millisecond).Received("edoc")) // +0987 is no zone
		form := axis.SystemForm{ID: "bovidu.01", Name: "b", Window: 48 * time.Hour}
		if err := c.hub.ChangeSystem(t.Context(), "test", form); err != nil {
			t.Fatal(err)
		}
		ok(t)(at(25 * time.Hour).Received("edoc"))
		failed(t, "15")(at(49 * time.Hour).Received("edoc"))
		form.Window = time.Hour
		if err := c.hub.ChangeSystem(t.Context(), "test", form); err != nil {
			t.Fatal(err)
		}
		failed(t, "15")(at(2 * time.Hour).Received("edoc"))
	})
}

// TestLease: a copy that was only begun comes back, one that is done stays done.
func TestLease(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		so, bo := c.client("vidu.01"), c.client("bovidu.01")
		ok(t)(so.Send("H99.07", "edoc", "", c.bytes(letter("08", []string{"G98"}))))
		id := ok(t)(bo.Received("edoc")).Data[0]["docId"].(string)
		ok(t)(bo.Update(id, "processing", ""))
		c.clock.add(axis.DefaultLease - time.Second)
		if s := ok(t)(bo.Received("edoc")).Data[0]["status"]; s != "processing" {
			t.Errorf("within the lease: %v", s)
		}
		c.clock.add(2 * time.Second)
		if s := ok(t)(bo.Received("edoc")).Data[0]["status"]; s != "initial" {
			t.Errorf("after the lease: %v", s)
		}
		ok(t)(bo.Update(id, "done", ""))
		if rows := ok(t)(bo.Received("edoc")).Data; len(rows) != 0 {
			t.Errorf("a done copy is listed: %v", rows)
		}
		ok(t)(bo.Update(id, "done", ""))
		failed(t, "10")(bo.Update(id, "fail", "muon"))
		failed(t, "10")(bo.Update(id, "processing", ""))
		if r := ok(t)(bo.Get(id)); len(r.File) == 0 {
			t.Error("a done copy cannot be fetched again")
		}
	})
}

// TestFanOut: n receivers are n copies; one unknown receiver refuses all.
func TestFanOut(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		so, bo := c.client("vidu.01"), c.client("bovidu.01")
		var to []string
		for i := range 20 {
			code := fmt.Sprintf("G98.%02d", i+1)
			ok(t)(bo.Register(vxptest.Agency{PCode: "G98", Code: code, Name: "Vụ " + code}))
			to = append(to, code)
		}
		failed(t, "18")(so.Send("H99.07", "edoc", "", c.bytes(letter("08", append([]string{"G11"}, to...)))))
		if r := ok(t)(bo.CountEdoc()); r.Count != 0 {
			t.Errorf("%d copies of a refused document", r.Count)
		}
		id := ok(t)(so.Send("H99.07", "edoc", "", c.bytes(letter("08", to)))).DocID
		copies := map[string]bool{}
		for _, r := range ok(t)(so.Sentlist("edoc", id)).Data {
			copies[r["receiverDocId"].(string)] = true
		}
		rows := ok(t)(bo.Received("edoc")).Data
		if len(copies) != 20 || len(rows) != 20 {
			t.Errorf("%d rows at the sender, %d at the receivers", len(copies), len(rows))
		}
		for _, r := range rows {
			if !copies[r["docId"].(string)] {
				t.Errorf("a copy that the sender does not see: %v", r)
			}
		}
		var paged []map[string]any
		for i := range 3 {
			paged = append(paged, ok(t)(bo.Received("edoc", "pageSize", "7", "pageIndex", fmt.Sprint(i+1))).Data...)
		}
		if !sameRows(paged, rows) {
			t.Errorf("in pages %d rows, at once %d", len(paged), len(rows))
		}
	})
}

// TestBehindFailingProxy: a proxy that puts pages of its own in the place of failures has nothing to replace, since refusals are 200.
func TestBehindFailingProxy(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		proxy := httptest.NewServer(failing(c.api))
		t.Cleanup(proxy.Close)
		wrong := vxptest.New(proxy.URL+DefaultPrefix, "vidu.01", "wrong", c.clock.now())
		defer wrong.Close()
		so := c.clientAt(proxy.URL, "vidu.01")
		for _, x := range []*vxptest.Client{wrong, so} {
			for name := range calls {
				if name == callDownload {
					continue
				}
				a, err := x.Raw("POST", name, []byte("{}"), "docId", "unknown")
				if err != nil || a.Status != 200 || !json.Valid(a.Body) {
					t.Errorf("%s: %v %s %v", name, a.Status, a.Body, err)
				}
			}
		}
		if r, err := so.Download("unknown"); err != nil || r.Status != "FAIL" {
			t.Errorf("downloadEdoc: %v %v", r, err)
		}
	})
}

// TestLowBytes: a header with letters beyond Latin-1 is refused with a reason, not with a page that reads as an empty list.
func TestLowBytes(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		bo := c.client("bovidu.01")
		bo.Set("description", "đã nhận, Đặng văn ă")
		failed(t, "15")(bo.Received("edoc"))
		failed(t, "15")(bo.Received("edoc")) // on the same connection
	})
}

// TestHashOfTheFile: a body that differs from what was hashed is refused, and a system may be allowed to send none.
func TestHashOfTheFile(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		file := c.bytes(letter("08", []string{"G98"}))
		other := bytes.Replace(file, []byte("08"), []byte("09"), 1)
		sum := sha256.Sum256(file)
		so := c.client("vidu.01")
		failed(t, "21")(so.SendHashed("H99.07", "edoc", "", other, looseHex(sum[:])))
		failed(t, "21")(c.client("vidu.01").SendHashed("H99.07", "edoc", "", file, ""))
		if err := c.hub.ChangeSystem(t.Context(), "test", axis.SystemForm{ID: "vidu.01", Name: "a", HashOptional: true}); err != nil {
			t.Fatal(err)
		}
		ok(t)(c.client("vidu.01").SendHashed("H99.07", "edoc", "", file, ""))
	})
}

// TestAddresses: a system that may come from some addresses only is known by the address that a trusted proxy names, and by no other.
func TestAddresses(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		only := netip.MustParsePrefix("203.0.113.7/32")
		if err := c.hub.ChangeSystem(t.Context(), "test", axis.SystemForm{ID: "bovidu.01", Name: "b", Addresses: []netip.Prefix{only}, Unlimited: true}); err != nil {
			t.Fatal(err)
		}
		from := func(peer, forwarded string) string {
			r := signedRequest("POST", "countReceiveEdoc", "bovidu.01", c.secrets["bovidu.01"], formatStamp(start.AddDate(-1, 0, 0)), nil, nil)
			r.RemoteAddr = peer + ":1234"
			r.Header.Set("X-Forwarded-For", forwarded)
			w := httptest.NewRecorder()
			c.api.ServeHTTP(w, r)
			var v struct{ ErrorCode string }
			if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
				t.Fatal(err)
			}
			return v.ErrorCode
		}
		if got := from("203.0.113.7", ""); got != "0" {
			t.Errorf("its own address: %s", got)
		}
		if got := from("198.51.100.1", "203.0.113.7"); got != "15" {
			t.Errorf("an address that only a stranger names: %s", got)
		}
		c.api.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		if got := from("10.0.0.1", "203.0.113.7"); got != "0" {
			t.Errorf("through the proxy: %s", got)
		}
		if got := from("10.0.0.1", "198.51.100.1"); got != "15" {
			t.Errorf("another through the proxy: %s", got)
		}
		c.api.Plain = false
		if got := from("10.0.0.1", "203.0.113.7"); got != "15" {
			t.Errorf("without TLS: %s", got)
		}
	})
}

// TestOverTLS: on the axis' own listener with TLS, where nothing else is taken, the client works as elsewhere.
func TestOverTLS(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		c.api.Plain = false
		failed(t, "15")(c.client("bovidu.01").Received("edoc"))
		made := httptest.NewUnstartedServer(nil)
		made.StartTLS() // for its certificate
		defer made.Close()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		srv := c.api.Server(c.api.Log, true)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = srv.Serve(Tolerant(tls.NewListener(l, ServerTLS(made.TLS.Certificates[0]))))
		}()
		defer func() { _ = srv.Close(); <-done }()
		x := c.clientAt("https://"+l.Addr().String(), "bovidu.01")
		x.TLS = made.Client().Transport.(*http.Transport).TLSClientConfig
		ok(t)(x.Received("edoc"))
		so := c.clientAt("https://"+l.Addr().String(), "vidu.01")
		so.TLS = x.TLS
		ok(t)(so.Send("H99.07", "edoc", "", c.bytes(letter("08", []string{"G98"}))))
		x.Set("description", "đã nhận")
		failed(t, "15")(x.Received("edoc"))
	})
}

// TestOwnEndpointConforms: the check of endpoints finds nothing at ours, and something where a rule is broken.
func TestOwnEndpointConforms(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ok(t)(c.client("vidu.01").Send("H99.07", "edoc", "", c.bytes(letter("08", []string{"G98"}))))
		found := vxptest.Check(c.srv.URL+DefaultPrefix, "bovidu.01", c.secrets["bovidu.01"], c.clock.now())
		for _, f := range found {
			if f.Err != nil {
				t.Errorf("%s: %v", f.Check, f.Err)
			}
		}
		if len(found) < 15 {
			t.Errorf("only %d checks", len(found))
		}
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
		t.Cleanup(other.Close)
		for _, f := range vxptest.Check(other.URL, "bovidu.01", "x", c.clock.now()) {
			if f.Err == nil && f.Check != "headers of earlier calls do not change the list" {
				t.Errorf("%s: a page of HTML passes", f.Check)
			}
		}
	})
}
