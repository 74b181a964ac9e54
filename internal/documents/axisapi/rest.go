package axisapi

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"runtime/debug"
	"strings"
	"unicode"
	"unicode/utf8"

	"truc/internal/blobs"
	"truc/internal/documents/axis"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/web"
)

// restCall is an operation of the REST binding. Those that are open need no token.
type restCall struct {
	open   bool
	handle func(*API, http.ResponseWriter, *http.Request, *request) error
}

func opened(f func(*API, http.ResponseWriter, *http.Request) error) restCall {
	return restCall{open: true, handle: func(a *API, w http.ResponseWriter, r *http.Request, _ *request) error { return f(a, w, r) }}
}

func guarded(f func(*API, http.ResponseWriter, *http.Request, *request) error) restCall {
	return restCall{handle: f}
}

// restCalls are the operations by method and path below {prefix}/v1/. A path that ends in a slash takes one more segment.
var restCalls = map[string]restCall{
	"POST auth/login":          opened((*API).v1Login),
	"POST token":               opened((*API).v1Token),
	"GET openapi.json":         opened((*API).v1Description),
	"POST sendEdoc":            guarded((*API).v1Send),
	"GET syncReceivedEdocList": guarded((*API).v1Received),
	"GET getSentEdocList":      guarded((*API).v1Sent),
	"GET getEdoc":              guarded((*API).v1Get),
	"POST updateStatus":        guarded((*API).v1Update),
	"GET getAgenciesList":      guarded((*API).v1Agencies),
	"GET receipts/":            guarded((*API).v1Receipts),
	"GET events":               guarded((*API).v1Events),
}

// serveV1 answers the REST binding: HTTP's own statuses, problem documents (RFC 9457) for errors, the same rules.
func (a *API) serveV1(w http.ResponseWriter, r *http.Request, path string) {
	seen := &written{ResponseWriter: w, ctl: http.NewResponseController(w)}
	r.Body = patient(w, r)
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p == http.ErrAbortHandler { //nolint:errorlint,err113 // net/http compares it so as well
			panic(p)
		}
		a.Log.ErrorContext(r.Context(), "a call of the axis panicked", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		if seen.started {
			panic(http.ErrAbortHandler)
		}
		a.problem(seen, r, errs.E(errs.Internal, "error.internal", nil))
	}()
	if err := a.rest(seen, r, path); err != nil {
		_, _ = io.CopyN(io.Discard, r.Body, drained)
		a.problem(seen, r, err)
	}
}

func (a *API) rest(w http.ResponseWriter, r *http.Request, path string) error {
	c, ok := restCalls[r.Method+" "+path]
	if dir, last, found := strings.Cut(path, "/"); !ok && found && last != "" && !strings.Contains(last, "/") {
		r.SetPathValue("id", last)
		c, ok = restCalls[r.Method+" "+dir+"/"]
	}
	if !ok {
		return errs.E(errs.NotFound, "axis.vxp.unknown_call", nil)
	}
	if c.open {
		return c.handle(a, w, r, nil)
	}
	q, err := a.bearer(r)
	if err != nil {
		return err
	}
	leave, ok := a.gate.enter(q.system.ID, q.now, a.Limits)
	if !ok {
		return errs.E(errs.Limited, "axis.vxp.busy", nil)
	}
	defer leave()
	return c.handle(a, w, r, q)
}

// restProblem is a problem document that existing programs can read as well: they look at success and data.
type restProblem struct {
	web.Problem
	Success bool         `json:"success"`
	Message string       `json:"message"`
	Data    *restFailure `json:"data,omitempty"`
}

type restFailure struct {
	DocID     string `json:"docId"`
	Status    string `json:"status"`
	ErrorCode string `json:"errorCode"`
	ErrorDesc string `json:"errorDesc"`
}

// codeStatus is the status of a refusal by its number.
var codeStatus = map[int]errs.Kind{
	codeRequest: errs.Invalid, codeAccess: errs.Unauthenticated, codeReceiver: errs.NotFound, codeSender: errs.Denied, codeSystem: errs.Unavailable,
	codeFile: errs.Invalid, codeEdXML: errs.Invalid, codeLocked: errs.Conflict,
}

// problem writes an error with the number of VXP beside HTTP's own status.
func (a *API) problem(w http.ResponseWriter, r *http.Request, err error) {
	lang := i18n.Preferred(r.Header.Get("Accept-Language"))
	kind := errs.KindOf(err)
	key, args := errs.KeyOf(err)
	var text string
	code := codeSystem
	if ref, ok := errors.AsType[*axis.Refusal](err); ok {
		code, key, text = ref.Code, ref.Key, ref.Text(a.Texts, lang)
		if k, ok := codeStatus[code]; ok && (kind == errs.Invalid || kind == errs.Internal) {
			kind = k
		}
	} else {
		if kind == errs.Internal && r.Context().Err() == nil {
			a.Log.ErrorContext(r.Context(), "a call of the axis failed", slog.Any("error", err))
		}
		text = a.Texts.T(lang, key, args...)
		switch kind {
		case errs.Internal, errs.Unavailable, errs.Limited:
		case errs.Unauthenticated:
			code = codeAccess
		default:
			code = codeRequest
		}
	}
	if kind == errs.Unauthenticated {
		w.Header().Set("WWW-Authenticate", `Bearer realm="axis"`)
	}
	if kind == errs.Limited {
		w.Header().Set("Retry-After", "1")
	}
	p := restProblem{
		Problem: web.Problem{
			Type: "about:blank", Title: http.StatusText(kind.Status()), Status: kind.Status(), Detail: text, Code: key, Kind: kind.String(),
			Instance: reqctx.RequestID(r.Context()),
		},
		Message: text, Data: &restFailure{Status: "FAIL", ErrorCode: itoa(code), ErrorDesc: text},
	}
	b, merr := json.Marshal(p)
	if merr != nil { // it holds texts and numbers
		b = []byte(`{"status":500}`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(kind.Status())
	w.Write(b)
}

func (a *API) writeV1(w http.ResponseWriter, v any) error {
	return web.WriteJSON(w, http.StatusOK, v)
}

// readJSON reads a small JSON body.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, smallBody)).Decode(v); err != nil {
		return refusal(codeRequest, "axis.vxp.json")
	}
	return nil
}

// restSent answers sendEdoc.
type restSent struct {
	Success  bool     `json:"success"`
	Message  string   `json:"message"`
	DocID    string   `json:"docId"`
	Repeated bool     `json:"repeated"`
	Warnings []string `json:"warnings,omitempty"`
}

// v1Send takes a document in the part edocFile of a multipart form, with messageType before or behind it, and an optional sha256.
func (a *API) v1Send(w http.ResponseWriter, r *http.Request, q *request) error {
	form, err := a.readSending(r)
	if err != nil {
		return err
	}
	kind, err := messageKind(form.messageType)
	if err != nil {
		return err
	}
	key, what := r.Header.Get("Idempotency-Key"), kind+" "+form.blob.SHA256
	if err := a.once.check(q.system.ID, key, what, q.now); err != nil {
		return err
	}
	got, err := a.Hub.Submit(r.Context(), axis.Submission{Party: q.party(), Kind: kind, Payload: form.blob})
	if err != nil {
		return err
	}
	a.once.keep(q.system.ID, key, what, q.now)
	warnings := a.notes(i18n.Preferred(r.Header.Get("Accept-Language")), got.Warnings)
	return a.writeV1(w, restSent{Success: true, Message: strings.Join(warnings, " "), DocID: got.DocID, Repeated: got.Repeated, Warnings: warnings})
}

// sending is the form of sendEdoc.
type sending struct {
	messageType, sha256 string
	blob                blobs.Blob
}

func (a *API) readSending(r *http.Request) (out sending, err error) {
	mr, err := r.MultipartReader()
	if err != nil {
		return out, refusal(codeRequest, "axis.rest.multipart")
	}
	for range 10 { // parts
		part, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return out, refusal(codeRequest, "axis.rest.multipart")
		}
		if err := a.readPart(part, &out); err != nil {
			return out, err
		}
	}
	switch {
	case out.blob.SHA256 == "":
		return out, refusal(codeFile, "axis.vxp.empty")
	case out.sha256 != "" && !hashFits(out.sha256, out.blob.SHA256):
		return out, refusal(codeFile, "axis.vxp.hash")
	}
	return out, nil
}

func (a *API) readPart(part *multipart.Part, out *sending) error {
	text := func() (string, error) {
		b, err := io.ReadAll(io.LimitReader(part, 256))
		if err != nil {
			return "", refusal(codeRequest, "axis.rest.multipart")
		}
		return strings.TrimSpace(string(b)), nil
	}
	var err error
	switch part.FormName() {
	case "messageType":
		out.messageType, err = text()
	case "sha256":
		out.sha256, err = text()
	case "edocFile":
		if out.blob.SHA256 != "" {
			return refusal(codeRequest, "axis.rest.multipart")
		}
		out.blob, err = takeWhole(a.Blobs, part, a.maxMessage())
		if err != nil {
			err = a.payloadError(err)
		}
	}
	return err
}

// takeWhole stores all of r.
func takeWhole(store *blobs.Store, r io.Reader, limit int64) (_ blobs.Blob, err error) {
	w, err := store.Create()
	if err != nil {
		return blobs.Blob{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Discard())
		}
	}()
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(r, limit+1), make([]byte, 64<<10))
	if err != nil {
		return blobs.Blob{}, err
	}
	return commit(w, n, limit)
}

// restRow is a document that waits for the system.
type restRow struct {
	DocID       string `json:"docId"`
	MessageType string `json:"messageType"`
	From        string `json:"from"`
	To          string `json:"to"`
	Status      string `json:"status"`
	StatusDesc  string `json:"statusDesc"`
	CreatedTime string `json:"createdTime"`
	UpdatedTime string `json:"updatedTime"`
	DocumentID  string `json:"documentId"`
	Subject     string `json:"subject"`
	Notation    string `json:"notation"`
	Priority    int    `json:"priority"`
	Size        int64  `json:"size"`
	SHA256      string `json:"sha256"`
}

type restList[T any] struct {
	Success bool `json:"success"`
	Count   int  `json:"count"`
	Data    []T  `json:"data"`
}

func restRows[T any](rows []T) restList[T] {
	if rows == nil {
		rows = []T{}
	}
	return restList[T]{true, len(rows), rows}
}

func (a *API) v1Received(w http.ResponseWriter, r *http.Request, q *request) error {
	get := r.URL.Query()
	kind, err := messageKind(get.Get("messageType"))
	if err != nil {
		return err
	}
	size, skip := page(get.Get("pageSize"), get.Get("pageIndex"))
	copies, err := a.Hub.Received(r.Context(), q.party(), axis.ReceivedQuery{
		Kind: kind, To: identifier(get.Get("to")), Since: day(get.Get("fromDate"), false), Until: day(get.Get("toDate"), true), Limit: size, Skip: skip,
	})
	if err != nil {
		return err
	}
	rows := make([]restRow, 0, len(copies))
	for _, c := range copies {
		rows = append(rows, restRow{
			DocID: c.ID, MessageType: c.Kind, From: c.From, To: c.To, Status: string(c.State), StatusDesc: c.Description, CreatedTime: isoTime(c.Sent),
			UpdatedTime: isoTime(c.Updated), DocumentID: c.Document, Subject: c.Subject, Notation: c.Number, Priority: c.Priority, Size: c.Payload.Size, SHA256: c.Payload.SHA256,
		})
	}
	return a.writeV1(w, restRows(rows))
}

func (a *API) v1Sent(w http.ResponseWriter, r *http.Request, q *request) error {
	get := r.URL.Query()
	kind, err := messageKind(get.Get("messageType"))
	if err != nil {
		return err
	}
	size, skip := page(get.Get("pageSize"), get.Get("pageIndex"))
	sent, err := a.Hub.Sent(r.Context(), q.party(), axis.SentQuery{Kind: kind, DocID: identifier(get.Get("docId")), Limit: size, Skip: skip})
	if err != nil {
		return err
	}
	rows := make([]sentRow, 0, len(sent))
	for _, s := range sent {
		rows = append(rows, sentRowOf(s))
	}
	return a.writeV1(w, restRows(rows))
}

// v1Get gives the document. Range is answered (RFC 9110 §14), so a download that broke off goes on where it stopped; the ETag is the
// digest of the whole.
func (a *API) v1Get(w http.ResponseWriter, r *http.Request, q *request) error {
	f, c, err := a.Hub.Open(r.Context(), q.party(), identifier(r.URL.Query().Get("docId")))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": c.ID + ".edxml"}))
	h.Set("ETag", `"`+c.Payload.SHA256+`"`)
	h.Set("Cache-Control", "private, no-store")
	http.ServeContent(w, r, "", c.Sent, f)
	return f.Close()
}

// identifier trims an id or a code. What no database could hold is no id of anything.
func identifier(s string) string {
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return "-"
	}
	return strings.TrimSpace(s)
}

// words drops control characters from what a program says in words, but for the ends of lines.
func words(s string) string {
	return strings.TrimSpace(i18n.NFC(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) && c != '\n' && c != '\t' {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, ""))))
}

type restStatus struct {
	DocID       string `json:"docId"`
	Status      string `json:"status"`
	Description string `json:"description"`
}

type restDone struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
}

func (a *API) v1Update(w http.ResponseWriter, r *http.Request, q *request) error {
	var in restStatus
	if err := readJSON(w, r, &in); err != nil {
		return err
	}
	st, err := copyState(in.Status)
	if err != nil {
		return err
	}
	if err := a.Hub.Report(r.Context(), q.party(), identifier(in.DocID), st, words(in.Description)); err != nil {
		return err
	}
	return a.writeV1(w, restDone{Success: true})
}

func (a *API) v1Agencies(w http.ResponseWriter, r *http.Request, q *request) error {
	rows, err := a.agencyRows(r.Context(), q.now)
	if err != nil {
		return err
	}
	return a.writeV1(w, restRows(rows))
}
