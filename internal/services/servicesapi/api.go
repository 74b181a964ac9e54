// Package servicesapi is what other agencies can ask of this module over the exchange: the dossier service of an
// agency, the facts for oversight, and the notices of the portal. The exchange has authenticated, authorised and
// logged every request before it arrives here; who asks is in reqctx.
package servicesapi

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"

	"truc/internal/errs"
	"truc/internal/reqctx"
	"truc/internal/services"
	"truc/internal/web"
)

const (
	maxJSON  = 2 << 20
	maxPaper = 30 << 20
)

// Desk serves an agency's dossiers: submissions, messages, documents, catalogue.
type Desk struct {
	Desk *services.Desk
	// Portals are the subsystems that may file for citizens; the exchange's rules say so too, but a rule that is too
	// wide must not let a register's owner file dossiers.
	Portals []string
}

// Mount registers the routes, as the exchange strips them.
func (a *Desk) Mount(m *web.Mux) {
	m.HandleAPI("GET /catalogue", a.catalogue)
	m.HandleAPI("POST /papers", a.portal(a.papers))
	m.HandleAPI("POST /submissions", a.portal(a.submit))
	m.HandleAPI("POST /messages", a.portal(a.message))
	m.HandleAPI("GET /documents/{filing}/{id}", a.portal(a.document))
}

// portal lets portals through.
func (a *Desk) portal(h web.HandlerFunc) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !slices.Contains(a.Portals, reqctx.CallerOf(r.Context()).Subsystem) {
			return errs.E(errs.Denied, "services.api.no_portal", nil)
		}
		return h(w, r)
	}
}

// mine refuses a call about somebody else's filing: the portal names the person on whose behalf it asks, and has
// signed that.
func (a *Desk) mine(r *http.Request, filing string) error {
	owner, err := a.Desk.Applicant(r.Context(), filing)
	if err != nil {
		return err
	}
	if reqctx.CallerOf(r.Context()).UserID != "VN"+owner {
		return errs.E(errs.Denied, "services.api.other_person", nil)
	}
	return nil
}

func (a *Desk) catalogue(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, a.Desk.Catalogue())
}

func (a *Desk) papers(w http.ResponseWriter, r *http.Request) error {
	body, err := readAll(w, r, maxPaper)
	if err != nil {
		return err
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return errs.E(errs.Invalid, "services.api.content_type", err)
	}
	sha, err := a.Desk.PutPaper(r.Context(), media, body)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, map[string]string{"sha256": sha})
}

func (a *Desk) submit(w http.ResponseWriter, r *http.Request) error {
	var sub services.Submission
	if err := readJSON(w, r, &sub); err != nil {
		return err
	}
	// Who files must be who is signed in at the portal: the identity in the body is that of the signed request.
	if c := reqctx.CallerOf(r.Context()); c.UserID != "VN"+sub.Applicant.PersonalID {
		return errs.E(errs.Denied, "services.api.other_person", nil)
	}
	ack, err := a.Desk.Submit(r.Context(), sub)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, ack)
}

func (a *Desk) message(w http.ResponseWriter, r *http.Request) error {
	var m services.Message
	if err := readJSON(w, r, &m); err != nil {
		return err
	}
	if err := a.mine(r, m.FilingID); err != nil {
		return err
	}
	if err := a.Desk.Receive(r.Context(), m); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]string{"id": m.ID})
}

func (a *Desk) document(w http.ResponseWriter, r *http.Request) error {
	if err := a.mine(r, r.PathValue("filing")); err != nil {
		return err
	}
	ref, content, err := a.Desk.DocumentFor(r.Context(), r.PathValue("filing"), r.PathValue("id"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", ref.Media)
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	_, err = w.Write(content)
	return err
}

// Facts serves the facts that oversight counts.
type Facts struct{ Store services.DeskStore }

// Mount registers the routes.
func (a *Facts) Mount(m *web.Mux) { m.HandleAPI("GET /facts", a.list) }

func (a *Facts) list(w http.ResponseWriter, r *http.Request) error {
	after, err := strconv.ParseInt("0"+r.URL.Query().Get("after"), 10, 64)
	if err != nil {
		return errs.E(errs.Invalid, "services.api.cursor", err)
	}
	facts, err := a.Store.Facts(r.Context(), after, 500)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, facts)
}

// Notices receives what agencies say about filings.
type Notices struct{ Portal *services.Portal }

// Mount registers the routes.
func (a *Notices) Mount(m *web.Mux) { m.HandleAPI("POST /{$}", a.receive) }

func (a *Notices) receive(w http.ResponseWriter, r *http.Request) error {
	var n services.Notice
	if err := readJSON(w, r, &n); err != nil {
		return err
	}
	if err := a.Portal.HandleNotice(r.Context(), reqctx.CallerOf(r.Context()), n); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]int64{"seq": n.Seq})
}

func readAll(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, errs.E(errs.TooLarge, "services.api.too_large", err, "max", limit>>20)
	}
	if err != nil {
		return nil, errs.E(errs.Invalid, "services.api.unreadable", err)
	}
	return body, nil
}

func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := readAll(w, r, maxJSON)
	if err != nil {
		return err
	}
	if err := errors.Join(strict(body), json.Unmarshal(body, v)); err != nil {
		return errs.E(errs.Invalid, "services.api.unreadable", err)
	}
	return nil
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err = w.Write(append(b, '\n'))
	return err
}
