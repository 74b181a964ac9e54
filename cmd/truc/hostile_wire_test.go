package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"truc/internal/directory"
	"truc/internal/pki"
	"truc/internal/services"
	"truc/internal/services/servicesstore"
)

func mac(secret, text string) string {
	h := hmac.New(sha512.New, []byte(secret))
	_, _ = h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}

func (h *hostile) secret(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(h.n.Dir("secrets"), name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// raw sends bytes as they are and returns what comes back until the other side closes or falls silent.
func raw(t *testing.T, address, text string) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(address, "http://"), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(3 * time.Second))
	_, _ = io.WriteString(c, text) // the other side may close before it has read all
	b, _ := io.ReadAll(c)
	return string(b)
}

// TestHostileHTTP sends what no browser would.
func TestHostileHTTP(t *testing.T) {
	h := newHostile(t)
	long := strings.Repeat("x", 100_000)
	for _, tt := range []struct{ name, request, want string }{
		{"giant header", "GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + long + "\r\n\r\n", "HTTP/1.1 431"},
		{"giant target", "GET /" + long + " HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 4"},
		{"two lengths", "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "HTTP/1.1 400"},
		{"length and chunks", "POST /track HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 4"},
		{"strange encoding", "POST /track HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\nabc", "HTTP/1.1 501"},
		{"no host", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400"},
		{"header with a line end", "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\rc\r\n\r\n", "HTTP/1.1 400"},
		{"space before a colon", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length : 4\r\n\r\nabcd", "HTTP/1.1 400"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := raw(t, h.portal, tt.request)
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("answer %.200q; want %s", got, tt.want)
			}
			if strings.Count(got, "HTTP/1.1 ") > 1 {
				t.Errorf("one request brought several answers: %.400q", got)
			}
			if m := leaks.FindString(got); m != "" {
				t.Errorf("the answer holds %q", m)
			}
		})
	}
}

// TestHostileSlowClient sends half a request and falls silent: the node ends the connection by itself.
func TestHostileSlowClient(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	for name, half := range map[string]string{"half a header": "GET / HTTP/1.1\r\nHost: x\r\nX-Half", "not HTTP": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.DialTimeout("tcp", strings.TrimPrefix(h.portal, "http://"), 5*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			if _, err := io.WriteString(c, half); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("a silent client may hold a connection for longer than half a minute")
			}
		})
	}
}

// TestHostileEdge attacks the interface of programs (spec exchange §2).
func TestHostileEdge(t *testing.T) {
	h := newHostile(t)
	key := map[string]string{}
	for _, k := range h.d.APIKeys {
		key[k.Client] = k.Key
	}
	const onestop, person = "VN/GOV/H36/onestop", "/r1/VN/GOV/G01/population/person"
	query := `{"type":"ByPersonalId","personalId":"099304000123","fullName":"Nguyễn Thị Thu Hà","fields":["fullName"]}`
	head := func(client, secret, purpose, issue string) map[string]string {
		return map[string]string{"X-Road-Client": client, "Authorization": "Bearer " + secret, "Truc-Purpose": purpose, "X-Road-Issue": issue, "Accept": "application/json"}
	}
	good := key[onestop]
	h.unchanged(t, func() {
		for _, tt := range []struct {
			name, url string
			header    map[string]string
			want      string
		}{
			{"no client", person + "/query", head("", good, "verify-dossier", h.number), "client.missing_header"},
			{"client that is none", person + "/query", head("VN/GOV/H36/one stop", good, "verify-dossier", h.number), "client.invalid_client_identifier"},
			{"member as client", person + "/query", head("VN/GOV/H36", good, "verify-dossier", h.number), "server.clientproxy.unknown_member"},
			{"no key", person + "/query", head(onestop, "", "verify-dossier", h.number), "server.clientproxy.ssl_authentication_failed"},
			{"wrong key", person + "/query", head(onestop, strings.Repeat("0", 64), "verify-dossier", h.number), "server.clientproxy.ssl_authentication_failed"},
			{"key of another node", person + "/query", head(onestop, key["VN/GOV/H57/onestop"], "verify-dossier", h.number), "server.clientproxy.ssl_authentication_failed"},
			{"another subsystem", person + "/query", head("VN/GOV/H57/onestop", good, "verify-dossier", h.number), "server.clientproxy.unknown_member"},
			{"path up", person + "/../usage/query", head(onestop, good, "verify-dossier", h.number), "client.bad_request"},
			{"encoded path up", person + "/%2e%2e/usage", head(onestop, good, "verify-dossier", h.number), "client.bad_request"},
			{"encoded slash", person + "/a%2fb", head(onestop, good, "verify-dossier", h.number), "client.bad_request"},
			{"doubly encoded", person + "/%252e%252e/x", head(onestop, good, "verify-dossier", h.number), "client.bad_request"},
			{"four segments", "/r1/VN/GOV/G01/population", head(onestop, good, "verify-dossier", h.number), "client.bad_request"},
			{"version that is none", "/r9/VN/GOV/G01/population/person/query", head(onestop, good, "verify-dossier", h.number), "client.bad_request"},
			{"member that is none", "/r1/VN/GOV/X99/a/b/c", head(onestop, good, "verify-dossier", h.number), "server.clientproxy.unknown_member"},
			{"service that is none", "/r1/VN/GOV/G01/population/nothing/c", head(onestop, good, "verify-dossier", h.number), "server.clientproxy.unknown_service"},
			{"no agreement, so it does not leave", "/r1/VN/GOV/H57/onestop/dossiers/catalogue", head(onestop, good, "verify-dossier", h.number), "server.clientproxy.access_denied"},
			{"no purpose", person + "/query", head(onestop, good, "", h.number), "access_denied"},
			{"purpose of others", person + "/query", head(onestop, good, "prefill", h.number), "access_denied"},
			{"no dossier", person + "/query", head(onestop, good, "verify-dossier", ""), ""},
			{"delegation", person + "/query", mergeHeader(head(onestop, good, "verify-dossier", h.number), "X-Road-Represented-Party", "GOV/G15"), "Truc-Error: no_agreement"},
			{"control character in an identifier", person + "/query", mergeHeader(head(onestop, good, "verify-dossier", h.number), "X-Road-Id", "a\x7fb"), "HTTP/1.1 400"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				var lines strings.Builder
				for name, value := range tt.header {
					if value != "" && value != "Bearer " {
						fmt.Fprintf(&lines, "%s: %s\r\n", name, value)
					}
				}
				got := raw(t, h.desk, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s", tt.url, len(query), lines.String(), query))
				if strings.HasPrefix(got, "HTTP/1.1 2") || !strings.Contains(got, tt.want) {
					t.Errorf("answer %.700s; want %s", got, tt.want)
				}
				_, body, _ := strings.Cut(got, "\r\n\r\n")
				if m := leaks.FindString(body); m != "" || strings.Contains(body, "Thu Hà") {
					t.Errorf("the answer holds %q: %s", m, body)
				}
			})
		}
	})
}

func mergeHeader(m map[string]string, name, value string) map[string]string {
	m[name] = value
	return m
}

// TestHostileSubmissions sends broken dossiers through a signed exchange call of the portal's own subsystem.
func TestHostileSubmissions(t *testing.T) {
	h := newHostile(t)
	const portal = "VN/GOV/G22/portal"
	key := ""
	for _, k := range h.d.APIKeys {
		if k.Client == portal {
			key = k.Key
		}
	}
	desk := servicesstore.Desk{Store: &servicesstore.Store{DB: h.open(t, "H36"), Now: time.Now}}
	known, err := desk.Find(t.Context(), h.filing)
	if err != nil {
		t.Fatal(err)
	}
	// A filing that would be accepted, were it not for what each case does to it.
	known.Submission.FilingID = "hostile"
	whole, err := json.Marshal(known.Submission)
	if err != nil {
		t.Fatal(err)
	}
	user, base := "VN"+known.Submission.Applicant.PersonalID, strings.TrimSuffix(strings.TrimPrefix(string(whole), "{"), "}")
	answer := func(extra string) string {
		return `{` + strings.Replace(base, `"answers":{`, `"answers":{`+extra+`,`, 1) + `}`
	}
	deep := strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000)
	h.unchanged(t, func() {
		for _, tt := range []struct {
			name, path, body, user string
			want                   int
		}{
			{"not JSON", "/submissions", "\x00\x01\x02", user, 400},
			{"nothing", "/submissions", "", user, 400},
			{"deep", "/submissions", answer(`"zz":` + deep), user, 400},
			{"huge number", "/submissions", strings.Replace(`{`+base+`}`, `"copies":2`, `"copies":1e999`, 1), user, 400},
			{"number of a million digits", "/submissions", strings.Replace(`{`+base+`}`, `"copies":2`, `"copies":`+strings.Repeat("9", 1_000_000), 1), user, 400},
			{"number where nobody looks", "/submissions", answer(`"zz":{"q":[1e999,-1e999]}`), user, 400},
			{"key twice", "/submissions", `{` + base + `,"agency":"H36.14","filingId":"other"}`, user, 400},
			{"key twice inside", "/submissions", answer(`"copies":1`), user, 400},
			{"wrong types", "/submissions", `{"filingId":[],"answers":"x"}`, user, 400},
			{"JSON behind the JSON", "/submissions", `{` + base + `}{"x":1}`, user, 400},
			{"another person", "/submissions", `{` + base + `}`, "VN099999999999", 403},
			{"no person", "/submissions", `{` + base + `}`, "", 403},
			{"too large", "/submissions", `{"x":"` + strings.Repeat("x", 3<<20) + `"}`, user, 413},
			{"unit that is none", "/submissions", `{` + strings.Replace(base, `"agency":"H36.14"`, `"agency":"H36.99"`, 1) + `}`, user, 404},
			{"version that is none", "/submissions", `{` + strings.Replace(base, known.Submission.VersionHash, "beef", 1) + `}`, user, 409},
			{"number as filing id", "/submissions", `{` + strings.Replace(base, `"filingId":"hostile"`, `"filingId":"`+h.number+`"`, 1) + `}`, user, 400},
			{"message to nobody", "/messages", `{"id":"m","filingId":"none","kind":"withdraw"}`, user, 404},
			{"message by number", "/messages", `{"id":"m","filingId":"` + h.number + `","kind":"withdraw"}`, user, 404},
			{"message of no kind", "/messages", `{"id":"m","filingId":"` + h.filing + `","kind":"explode"}`, user, 400},
			{"payment of nothing", "/messages", `{"id":"m","filingId":"` + h.filing + `","kind":"payment","payment":{"amount":-5}}`, user, 400},
			{"empty paper", "/papers", "", user, 400},
			{"document of another filing", "/documents/none/result-1", "", user, 405},
		} {
			t.Run(tt.name, func(t *testing.T) {
				a := attack{
					as: h.nobody, method: http.MethodPost, url: h.portal + "/r1/VN/GOV/H36/onestop/dossiers" + tt.path, body: tt.body, media: "application/json", want: tt.want, api: true,
					header: map[string]string{"X-Road-Client": portal, "Authorization": "Bearer " + key, "Truc-Purpose": "submission", "X-Road-Issue": "hostile", "Accept": "application/json"},
				}
				if tt.user != "" {
					a.header["X-Road-UserId"] = tt.user
				}
				h.run(t, a, "vi")
			})
		}
	})
	// The same filing without any of it is taken, once: the refusals above were about what they name.
	first := ""
	for range 2 {
		body := h.run(t, attack{
			as: h.nobody, method: http.MethodPost, url: h.portal + "/r1/VN/GOV/H36/onestop/dossiers/submissions", body: `{` + base + `}`, media: "application/json", want: 201, api: true,
			header: map[string]string{"X-Road-Client": portal, "Authorization": "Bearer " + key, "Truc-Purpose": "submission", "X-Road-Issue": "hostile", "X-Road-UserId": user},
		}, "vi")
		var ack services.Ack
		if err := json.Unmarshal([]byte(body), &ack); err != nil || ack.Number == "" || first != "" && ack.Number != first {
			t.Errorf("the filing got %q, then %q, %v", first, ack.Number, err)
		}
		first = ack.Number
	}
}

// TestHostileLink knocks at the door of the nodes.
func TestHostileLink(t *testing.T) {
	h := newHostile(t)
	link := ""
	for _, x := range h.d.Nodes {
		if x.ID == "G01" {
			link = x.Link
		}
	}
	now := time.Now()
	self := func(notAfter time.Time) *tls.Certificate {
		key, err := pki.GenerateKey(pki.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		tmpl := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "VN/GOV/H36/node1"}, NotBefore: now.Add(-48 * time.Hour), NotAfter: notAfter,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature,
		}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Certificate{PrivateKey: key, Certificate: [][]byte{der}}
	}
	foreign := func(lifetime time.Duration, at time.Time) *tls.Certificate {
		ca, err := pki.LoadOrCreateCA(t.TempDir(), "Truc VN", at)
		if err != nil {
			t.Fatal(err)
		}
		key, err := pki.GenerateKey(pki.P256)
		if err != nil {
			t.Fatal(err)
		}
		csr, err := pki.NewCSR(key, "VN/GOV/H36/node1")
		if err != nil {
			t.Fatal(err)
		}
		cert, err := ca.IssueNode(csr, pki.NodeSubject{Instance: "VN", Class: "GOV", Member: "H36", Server: "node1", Hosts: []string{"127.0.0.1"}}, at, lifetime)
		if err != nil {
			t.Fatal(err)
		}
		return pki.TLSCertificate(key, cert)
	}
	for _, tt := range []struct {
		name string
		cert *tls.Certificate
	}{
		{"no certificate", nil},
		{"certificate of one's own", self(now.Add(time.Hour))},
		{"expired certificate", self(now.Add(-time.Hour))},
		{"foreign authority of the same name", foreign(time.Hour, now)},
		{"foreign authority, expired", foreign(time.Hour, now.Add(-72*time.Hour))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS13} // we are the attacker
			if tt.cert != nil {
				cfg.Certificates = []tls.Certificate{*tt.cert}
			}
			client := &http.Client{Transport: &http2.Transport{TLSClientConfig: cfg}, Timeout: 5 * time.Second} //nolint:staticcheck // HTTP/2 and nothing else, as the link speaks
			res, err := client.Post(link+"/x1/VN/GOV/G01/population/person/query", "application/json", strings.NewReader("{}"))
			if err == nil {
				defer res.Body.Close()
				b, _ := io.ReadAll(res.Body)
				t.Errorf("the link answered %d %s", res.StatusCode, b)
			}
		})
	}
	t.Run("plain HTTP", func(t *testing.T) {
		if got := raw(t, strings.TrimPrefix(link, "https://"), "GET /x1/ HTTP/1.1\r\nHost: x\r\n\r\n"); strings.HasPrefix(got, "HTTP/1.1 2") {
			t.Errorf("the link answered %q", got)
		}
	})
}

// TestHostileJoin tries to get into the network.
func TestHostileJoin(t *testing.T) {
	h := newHostile(t)
	used, err := os.ReadFile(filepath.Join(h.n.Dir("tokens"), "H36.token"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := directory.ParseToken(string(used))
	if err != nil {
		t.Fatal(err)
	}
	join := h.portal + "/directory/v1/join"
	request := func(id string) string {
		return fmt.Sprintf(`{"request":{"token_id":%q,"instance":"VN","node":"VN/GOV/H36/node1","csr":"","signing_key":{},"link_url":"https://127.0.0.1:1","subsystems":[],"services":[],"log_key":"","witness_key":"","audit_key":"","created_at":1},"signatures":[{"key_id":"x","sig":"AAAA"}]}`, id)
	}
	const media = "application/json"
	h.both(t, []attack{
		{name: "not JSON", as: h.nobody, method: http.MethodPost, url: join, body: "<xml/>", media: media, want: 400, api: true},
		{name: "nothing", as: h.nobody, method: http.MethodPost, url: join, media: media, want: 400, api: true},
		{name: "deep", as: h.nobody, method: http.MethodPost, url: join, body: strings.Repeat("[", 200_000), media: media, want: 400, api: true},
		{name: "too large", as: h.nobody, method: http.MethodPost, url: join, body: `{"request":"` + strings.Repeat("x", 2<<20) + `"}`, media: media, want: 413, api: true},
		{name: "unknown members", as: h.nobody, method: http.MethodPost, url: join, body: `{"request":{},"signatures":[],"admin":true}`, media: media, want: 400, api: true},
		{name: "wrong token", as: h.nobody, method: http.MethodPost, url: join, body: request("guess"), media: media, want: 403, api: true},
		{name: "tampered request for a used token", as: h.nobody, method: http.MethodPost, url: join, body: request(token.ID), media: media, want: 400, api: true},
		{name: "services without a signature", as: h.nobody, method: http.MethodPost, url: h.portal + "/directory/v1/services", body: `{"request":{"instance":"VN","node":"VN/GOV/H36/node1"},"signatures":[]}`, media: media, want: 403, api: true},
		{name: "renewal without a signature", as: h.nobody, method: http.MethodPost, url: h.portal + "/directory/v1/renew", body: `{"request":{"instance":"VN","node":"VN/GOV/H36/node1"},"signatures":[]}`, media: media, want: 403, api: true},
	})
}
