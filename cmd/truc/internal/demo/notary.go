package demo

import (
	"context"
	"crypto/tls"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"truc/internal/app"
	"truc/internal/exchange"
	"truc/internal/i18n"
	"truc/internal/pki"
)

// notaryYAML describes a system of the Ministry of Justice that knows nothing of Truc: its node publishes it from this file.
//
//go:embed data/notary.yaml
var notaryYAML []byte

const (
	// notaryService is the code under which the ministry publishes it.
	notaryService = "notary/offices"
	// notaryActivity and notaryBasis are the purpose that provinces have agreed on.
	notaryActivity = "notary-lookup"
	notaryBasis    = "Luật Công chứng 46/2024/QH15"
)

// office is a notary office; all are invented.
type office struct {
	Code     string `json:"code"`
	Name     string `json:"name"`
	Province string `json:"province"`
	Kind     string `json:"kind"`
	State    string `json:"state"`
}

var offices = []office{
	{"CC-68-001", "Phòng Công chứng số 1 tỉnh Lâm Đồng (mẫu)", "68", "phong", "hoat-dong"},
	{"CC-68-014", "Văn phòng Công chứng Langbiang (mẫu)", "68", "van-phong", "hoat-dong"},
	{"CC-68-020", "Văn phòng Công chứng Bảo Lộc (mẫu)", "68", "van-phong", "tam-ngung"},
	{"CC-46-002", "Văn phòng Công chứng Sông Hương (mẫu)", "46", "van-phong", "hoat-dong"},
}

func (l *layout) notaryURL() string { return fmt.Sprintf("https://127.0.0.1:%d/api", l.bankPort+1) }
func (l *layout) notaryFile(name string) string {
	return filepath.Join(l.opt.Dir, "notary", name)
}

// configNotary lets the ministry's node publish the system; provinces may read it, nobody may delete.
func (l *layout) configNotary(c *app.Config) {
	c.Exchange.Publish = append(c.Exchange.Publish, app.PublishConfig{
		Code: notaryService, File: l.notaryFile("openapi.yaml"), Backend: l.notaryURL(), CAFile: l.notaryFile("ca/root.pem"), Public: true, TimeoutSeconds: 10,
		Name: i18n.Text{"vi": "Tra cứu tổ chức hành nghề công chứng", "en": "Notary offices"},
	})
	for _, p := range l.provinces() {
		c.Exchange.Rules = append(c.Exchange.Rules, exchange.Rule{
			Consumer: subsystem(p.code, "onestop"), Service: notaryService, Methods: []string{http.MethodGet}, Path: "/v1/**", Activities: []string{notaryActivity}, Basis: notaryBasis,
		})
	}
}

// notary is the ministry's system: HTTPS with a certificate of the ministry's own authority.
type notary struct {
	// asked counts requests, deleted those that should never have come.
	asked, deleted atomic.Int64
}

// ServeHTTP implements [http.Handler].
func (s *notary) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	path, ok := strings.CutPrefix(r.URL.Path, "/api/v1/offices")
	switch {
	case r.Method == http.MethodDelete:
		s.deleted.Add(1)
		w.WriteHeader(http.StatusNoContent)
	case ok && path == "":
		list := []office{}
		for _, o := range offices {
			if o.Province == r.URL.Query().Get("province") {
				list = append(list, o)
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"items": list}) // the caller has gone, or gets it
	default:
		i := slices.IndexFunc(offices, func(o office) bool { return "/"+o.Code == path })
		if i < 0 {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"error":"không có tổ chức này"}`)
			return
		}
		_ = json.NewEncoder(w).Encode(offices[i])
	}
}

// startNotary writes the description, makes a certificate and serves the ministry's system in this process.
func (n *Network) startNotary(ctx context.Context) error {
	if err := os.MkdirAll(n.l.notaryFile("ca"), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(n.l.notaryFile("openapi.yaml"), notaryYAML, 0o600); err != nil {
		return err
	}
	ca, err := pki.LoadOrCreateCA(n.l.notaryFile("ca"), "Bộ Tư pháp – CA nội bộ (TEST)", time.Now())
	if err != nil {
		return err
	}
	key, err := pki.GenerateKey(pki.P256)
	if err != nil {
		return err
	}
	csr, err := pki.NewCSR(key, "notary")
	if err != nil {
		return err
	}
	cert, err := ca.IssueNode(csr, pki.NodeSubject{Instance: "VN", Class: "GOV", Member: civil, Server: "notary", Hosts: []string{"127.0.0.1"}}, time.Now(), 30*24*time.Hour)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", n.l.bankPort+1))
	if err != nil {
		return err
	}
	n.notary = &notary{}
	srv := &http.Server{Handler: n.notary, ReadHeaderTimeout: 10 * time.Second, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*pki.TLSCertificate(key, cert)}}}
	n.wg.Go(func() { _ = srv.ServeTLS(l, "", "") })
	n.wg.Go(func() {
		<-ctx.Done()
		_ = srv.Close()
	})
	return nil
}

// published calls the ministry's system as a program of the province does, through the edge of the province's own node.
func (s *story) published(ctx context.Context) error {
	key := ""
	for _, k := range s.d.APIKeys {
		if k.Client == subsystem(lamDong, "onestop") {
			key = k.Key
		}
	}
	call := func(method, path string) (int, http.Header, string, error) {
		req, err := http.NewRequestWithContext(ctx, method, s.node(lamDong)+"/r1/"+subsystem(civil, path), http.NoBody)
		if err != nil {
			return 0, nil, "", err
		}
		req.Header.Set("X-Road-Client", subsystem(lamDong, "onestop"))
		req.Header.Set("X-Api-Key", key)
		req.Header.Set("Truc-Purpose", notaryActivity)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, nil, "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		return res.StatusCode, res.Header, string(b), err
	}
	for _, tt := range []struct {
		method, path string
		status       int
		says         string
	}{
		{http.MethodGet, notaryService + "/v1/offices?province=68", http.StatusOK, "Langbiang"},
		{http.MethodGet, notaryService + "/v1/offices/CC-46-002", http.StatusOK, "Sông Hương"},
		{http.MethodGet, notaryService + "/v1/offices/none", http.StatusNotFound, "không có tổ chức"},
		{http.MethodGet, "notary/getOpenAPI?serviceCode=offices", http.StatusOK, `"/v1/offices/{code}"`},
		{http.MethodDelete, notaryService + "/v1/offices/CC-68-001", http.StatusInternalServerError, "access_denied"},
	} {
		status, h, body, err := call(tt.method, tt.path)
		if err != nil {
			return err
		}
		if status != tt.status || !strings.Contains(body, tt.says) || strings.Contains(body, "noibo") {
			return fmt.Errorf("%s %s answered %d %s: %s", tt.method, tt.path, status, h.Get("X-Road-Error"), body)
		}
	}
	return expect(s.n.notary.deleted.Load() == 0 && s.n.notary.asked.Load() >= 3, "the ministry's system was asked %d times, %d of them to delete", s.n.notary.asked.Load(), s.n.notary.deleted.Load())
}
