package exchangeapi

import (
	"bytes"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"truc/internal/exchange"
)

func TestFramesKeepMessages(t *testing.T) {
	req := &exchange.WireRequest{
		Method: "POST", TargetURI: "https://p.example/x1/VN/GOV/G01/population/person/query?x=%C3%A2",
		Header: http.Header{"X-Road-Client": {"VN/GOV/H36/onestop"}, "X-Custom": {"a", "", "c\td"}}, Body: []byte("{}"),
	}
	b := appendRequest(nil, 7, req)
	b = appendAnswer(b, 8, &exchange.WireResponse{Status: 204, Header: http.Header{}})
	b = appendBare(b, frameCancel, 9)
	r := bytes.NewReader(b)
	f, err := readFrame(r)
	if err != nil || f.kind != frameRequest || f.id != 7 {
		t.Fatalf("first frame = %+v, %v", f, err)
	}
	got, err := parseRequest(f.payload)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(req, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	f, err = readFrame(r)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := parseAnswer(f.payload); err != nil || resp.Status != 204 || len(resp.Body) != 0 || f.id != 8 {
		t.Errorf("answer = %+v, %v", resp, err)
	}
	if f, err = readFrame(r); err != nil || f.kind != frameCancel || f.id != 9 || len(f.payload) != 0 {
		t.Errorf("third frame = %+v, %v", f, err)
	}
}

func TestFramesRefuseWhatNobodyWrites(t *testing.T) {
	header := func(name, value string) []byte {
		b := appendText(appendText(nil, "GET"), "https://p/x1")
		return appendText(appendText(append(b, 1), name), value)
	}
	for name, payload := range map[string][]byte{
		"empty":                      {},
		"a name with a blank":        header("X-Road Id", "1"),
		"a name with a line end":     header("X\nY", "1"),
		"an empty name":              header("", "1"),
		"a value with a line end":    header("X", "a\r\nX-Road-Client: b"),
		"a value with a zero":        header("X", "a\x00"),
		"more lines than there are":  append(appendText(appendText(nil, "GET"), "https://p/x1"), 9),
		"a length beyond the end":    append(appendText(appendText(nil, "GET"), "https://p/x1"), 1, 200, 1),
		"a method that is no token":  append(appendText(appendText(nil, "G T"), "https://p/x1"), 0),
		"a length that never ends":   {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"a body beyond what fits in": append(append(appendText(appendText(nil, "GET"), "https://p/x1"), 0), make([]byte, maxFramedBody+1)...),
	} {
		if req, err := parseRequest(payload); !errors.Is(err, errFrame) {
			t.Errorf("%s: %+v, %v; want it refused", name, req, err)
		}
	}
	for name, head := range map[string][]byte{
		"too short": {0, 0, 0, 8, 1, 0, 0, 0, 0, 0, 0, 0, 0},
		"too long":  {0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		if _, err := readFrame(bytes.NewReader(head)); !errors.Is(err, errFrame) {
			t.Errorf("%s: %v, want it refused", name, err)
		}
	}
}

// Two spellings of one name must not become two names.
func TestFramesKnowOneSpelling(t *testing.T) {
	b := appendText(appendText(nil, "GET"), "https://p/x1")
	b = append(b, 2)
	b = appendText(appendText(b, "x-road-id"), "1")
	b = appendText(appendText(b, "X-ROAD-ID"), "2")
	req, err := parseRequest(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(http.Header{"X-Road-Id": {"1", "2"}}, req.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(appendRequest(nil, 1, &exchange.WireRequest{Method: "GET", TargetURI: "https://p/x1", Header: http.Header{"A": {"b"}}, Body: []byte("c")}))
	f.Add(appendAnswer(nil, 2, &exchange.WireResponse{Status: 200, Header: http.Header{"A": {"b", "c"}}, Body: []byte("d")}))
	f.Add(appendHeld(nil, 3, "ABC"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := readFrame(bytes.NewReader(b))
		if err != nil {
			return
		}
		if req, err := parseRequest(fr.payload); err == nil {
			again, err := parseRequest(appendRequest(nil, fr.id, req)[frameHead:])
			if err != nil || !cmp.Equal(req, again) {
				t.Errorf("request changed on its way: %+v, %+v, %v", req, again, err)
			}
		}
		if resp, err := parseAnswer(fr.payload); err == nil {
			again, err := parseAnswer(appendAnswer(nil, fr.id, resp)[frameHead:])
			if err != nil || !cmp.Equal(resp, again, cmpopts.IgnoreUnexported(exchange.WireResponse{})) {
				t.Errorf("answer changed on its way: %+v, %+v, %v", resp, again, err)
			}
		}
		_, _ = parseHeld(fr.payload)
	})
}
