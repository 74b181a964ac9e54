package demo

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"truc/edxml"
	"truc/internal/documents/axisapi/vxptest"
	"truc/internal/pki"
	"truc/internal/sign"
)

// taken finds this run's document at an external system, takes it over and returns it.
func (s *documentStory) taken(ctx context.Context, c *vxptest.Client) (m *edxml.Message, pdf []byte, err error) {
	err = until(ctx, "the document's way to "+c.System, func() (bool, error) { //nolint:contextcheck // the client is a model of one that knows no contexts
		r, err := c.Received("edoc")
		if err != nil {
			c.Close()
			return false, err
		}
		for _, row := range r.Data {
			id, _ := row["docId"].(string)
			got, err := c.Download(id)
			if err != nil {
				return false, err
			}
			var buf bytes.Buffer
			x, err := edxml.Read(bytes.NewReader(got.File), edxml.ReadOptions{Now: time.Now(), Sink: func(i int, _ edxml.Attachment) (io.WriteCloser, error) {
				if i > 0 {
					return nopClose{io.Discard}, nil
				}
				return nopClose{&buf}, nil
			}})
			if err != nil {
				return false, err
			}
			if !strings.Contains(x.Subject, s.mark) {
				continue
			}
			if m != nil {
				return false, errors.New("it is there twice")
			}
			m, pdf = x, buf.Bytes()
		}
		return m != nil, err
	})
	return m, pdf, err
}

type nopClose struct{ io.Writer }

func (nopClose) Close() error { return nil }

// report sends a business status from the first external system.
func (s *documentStory) report(about *edxml.Message, code string) error {
	m := &edxml.Message{
		From:        edxml.Organization{ID: s.vxp[0].Agency.Code, Name: s.vxp[0].Agency.Name},
		ResponseFor: []edxml.Reference{{OrganID: lamDong, Code: about.Code.String(), DocumentID: about.DocumentID, Date: about.Date}},
		Status:      &edxml.Status{Code: code, Description: "Hệ thống ngoài", At: time.Now(), Staff: edxml.Staff{Department: "Văn thư", Name: "Cán bộ mẫu"}},
	}
	var b bytes.Buffer
	if err := edxml.Write(&b, m); err != nil {
		return err
	}
	r, err := s.one.Send(s.vxp[0].Agency.Code, "status", `["`+lamDong+`"]`, b.Bytes())
	if err == nil && r.Status != "OK" {
		err = fmt.Errorf("sendEdoc of status %s: %s %s", code, r.ErrorCode, r.ErrorDesc)
	}
	return err
}

// bothSigned wants the signatures of the person and of the agency, in this order, both valid.
func (s *documentStory) bothSigned(ctx context.Context, pdf []byte) error {
	b, err := fetch(ctx, s.url(lamDong, "/sign/ca.pem"))
	if err != nil {
		return err
	}
	certs, err := pki.DecodePEM(b)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	for _, c := range certs {
		roots.AddCert(c)
	}
	reports, err := sign.VerifyPDF(pdf, sign.VerifyOptions{Roots: roots, TSARoots: roots, Now: time.Now})
	if err != nil {
		return err
	}
	if len(reports) != 2 || slices.ContainsFunc(reports, func(r sign.Report) bool { return r.State != sign.Valid }) {
		return fmt.Errorf("the document has %d signatures: %+v", len(reports), reports)
	}
	return nil
}
