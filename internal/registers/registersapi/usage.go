package registersapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/registers"
	"truc/internal/reqctx"
	"truc/internal/web"
)

// usageActivity is the processing activity under which a person asks about their own data.
const usageActivity = "usage-self"

const (
	defaultLimit = 1000
	maxLimit     = 10000
)

// UsageService returns the handler that answers "who has used my data?": findUsage 2.0 and 2.1 with usagePeriod and
// heartbeat on both paths (trust.md §1.2), and our richer POST /lines and POST /receipt.
func (a *API) UsageService() http.Handler {
	mux := http.NewServeMux()
	for _, prefix := range []string{"", "/v2"} {
		a.handle(mux, "GET "+prefix+"/findUsage", a.findUsage)
		a.handle(mux, "GET "+prefix+"/usagePeriod", a.usagePeriod)
		a.handle(mux, "GET "+prefix+"/heartbeat", a.heartbeat)
	}
	a.handle(mux, "POST /lines", a.lines)
	a.handle(mux, "POST /receipt", a.receipt)
	a.handle(mux, "/", notFound)
	return mux
}

// subject decides whose lines may be shown: the caller's user's own, or those of somebody they represent.
func (a *API) subject(r *http.Request, asked string) (string, error) {
	c := reqctx.CallerOf(r.Context())
	if c.Anonymous() {
		return "", errs.E(errs.Denied, "registers.caller_unknown", nil)
	}
	if c.Activity != usageActivity {
		return "", errs.E(errs.Denied, "registers.purpose_required", nil)
	}
	who, ok := digits(c.UserID)
	if !ok {
		return "", errs.E(errs.Invalid, "registers.user_missing", nil)
	}
	if asked == "" {
		return who, nil
	}
	whom, ok := digits(asked)
	if !ok {
		return "", faulty("userCode", "invalid")
	}
	if who != whom && (a.Represents == nil || !a.Represents(who, whom)) {
		return "", errs.E(errs.Denied, "registers.usage_self_only", nil)
	}
	return whom, nil
}

func digits(user string) (string, bool) {
	n := strings.TrimPrefix(user, "VN")
	if len(n) != 12 || strings.Trim(n, "0123456789") != "" {
		return "", false
	}
	return n, true
}

type usage struct {
	Logtime        string `json:"logtime"`
	Action         string `json:"action"`
	ReceiverCode   string `json:"receiverCode"`
	ReceiverName   string `json:"receiverName,omitempty"`
	ReceiverSystem string `json:"receiverSystem"`
}

func (a *API) findUsage(w http.ResponseWriter, r *http.Request) error {
	in := r.URL.Query()
	if in.Get("userCode") == "" {
		return faulty("userCode", "required")
	}
	who, err := a.subject(r, in.Get("userCode"))
	if err != nil {
		return err
	}
	q := registers.UsageQuery{SubjectID: who}
	if q.From, err = instant(in.Get("periodStart")); err != nil {
		return faulty("periodStart", "invalid")
	}
	if q.To, err = instant(in.Get("periodEnd")); err != nil {
		return faulty("periodEnd", "invalid")
	}
	if q.Offset, err = whole(in.Get("offset"), 0, 1<<31-1); err != nil {
		return faulty("offset", "invalid")
	}
	if q.Limit, err = whole(in.Get("limit"), defaultLimit, maxLimit); err != nil {
		return faulty("limit", "invalid")
	}
	page, err := a.Usage.Usage(r.Context(), q)
	if err != nil {
		return errs.E(errs.Unavailable, "registers.log_unavailable", err)
	}
	out := struct {
		TotalUsages int     `json:"totalUsages"`
		Usages      []usage `json:"usages"`
	}{TotalUsages: page.Total, Usages: make([]usage, 0, len(page.Lines))}
	for _, l := range page.Lines {
		out.Usages = append(out.Usages, usage{
			Logtime: stamp(l.Time), Action: l.Purpose, ReceiverCode: l.Agency, ReceiverName: l.AgencyName, ReceiverSystem: l.Subsystem,
		})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

// stamp always carries an offset.
func stamp(t time.Time) string { return t.In(i18n.Zone).Format(time.RFC3339Nano) }

// instant reads a date-time; one without an offset means Vietnamese time, as the examples of the contract write it.
func instant(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	s = strings.ReplaceAll(s, " ", "+") // a plus sign that somebody forgot to escape
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC(), nil
	}
	t, err := time.ParseInLocation("2006-01-02T15:04:05.999999999", s, i18n.Zone)
	return t.UTC(), err
}

func whole(s string, fallback, limit int) (int, error) {
	if s == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > limit || n == 0 && limit == maxLimit {
		return 0, strconv.ErrRange
	}
	return n, nil
}

func (a *API) usagePeriod(w http.ResponseWriter, r *http.Request) error {
	if reqctx.CallerOf(r.Context()).Anonymous() {
		return errs.E(errs.Denied, "registers.caller_unknown", nil)
	}
	since, err := a.since(r)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, map[string]string{"periodStart": stamp(since)})
}

func (a *API) since(r *http.Request) (time.Time, error) {
	since, err := a.Usage.Since(r.Context())
	if err != nil {
		return since, errs.E(errs.Unavailable, "registers.log_unavailable", err)
	}
	if since.IsZero() {
		since = a.Now()
	}
	return since, nil
}

func (a *API) heartbeat(w http.ResponseWriter, r *http.Request) error {
	status := "OK"
	if _, err := a.Usage.Since(r.Context()); err != nil {
		status = "FAIL"
	}
	return web.WriteJSON(w, http.StatusOK, map[string]string{"status": status})
}

type line struct {
	LineID     string   `json:"lineId"`
	Time       string   `json:"time"`
	Register   string   `json:"register"`
	Agency     string   `json:"agency"`
	AgencyName string   `json:"agencyName,omitempty"`
	Subsystem  string   `json:"subsystem"`
	Activity   string   `json:"activity"`
	Purpose    string   `json:"purpose"`
	LegalBasis string   `json:"legalBasis,omitempty"`
	Dossier    string   `json:"dossier,omitempty"`
	Kind       string   `json:"kind"`
	Fields     []string `json:"fields"`
	Labels     []string `json:"labels"`
	ExchangeID string   `json:"exchangeId,omitempty"`
}

type withheld struct {
	Count     int    `json:"count"`
	Article   string `json:"article"`
	ReleaseOn string `json:"releaseOn,omitempty"`
}

func (a *API) lines(w http.ResponseWriter, r *http.Request) error {
	b, err := readBody(r)
	if err != nil {
		return err
	}
	q, err := parseLines(b)
	if err != nil {
		return err
	}
	if q.SubjectID, err = a.subject(r, q.SubjectID); err != nil {
		return err
	}
	page, err := a.Usage.Usage(r.Context(), q)
	if err != nil {
		return errs.E(errs.Unavailable, "registers.log_unavailable", err)
	}
	kept, err := a.Usage.Withheld(r.Context(), q.SubjectID)
	if err != nil {
		return errs.E(errs.Unavailable, "registers.log_unavailable", err)
	}
	since, err := a.since(r)
	if err != nil {
		return err
	}
	out := struct {
		PeriodStart string     `json:"periodStart"`
		Total       int        `json:"total"`
		Lines       []line     `json:"lines"`
		Withheld    []withheld `json:"withheld"`
	}{PeriodStart: stamp(since), Total: page.Total, Lines: make([]line, 0, len(page.Lines)), Withheld: make([]withheld, 0, len(kept))}
	lang := reqctx.Lang(r.Context())
	for _, l := range page.Lines {
		out.Lines = append(out.Lines, line{
			LineID: l.LineID, Time: stamp(l.Time), Register: l.Register, Agency: l.Agency, AgencyName: l.AgencyName, Subsystem: l.Subsystem,
			Activity: l.Activity, Purpose: a.purpose(l, lang), LegalBasis: l.LegalBasis, Dossier: l.Dossier, Kind: l.Kind,
			Fields: append([]string{}, l.Fields...), Labels: a.labels(l, lang), ExchangeID: l.ExchangeID,
		})
	}
	for _, k := range kept {
		x := withheld{Count: k.Count, Article: k.Article}
		if !k.ReleaseOn.IsZero() {
			x.ReleaseOn = k.ReleaseOn.In(i18n.Zone).Format("2006-01-02")
		}
		out.Withheld = append(out.Withheld, x)
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

// purpose is the text that was logged, or in another language the one of the activity as it is described today.
func (a *API) purpose(l registers.UsageLine, lang string) string {
	if sch, err := a.Service.Schema(l.Register); err == nil && lang != "vi" {
		if act, ok := sch.Activity(l.Activity); ok {
			return act.Purpose.In(lang)
		}
	}
	return l.Purpose
}

func (a *API) labels(l registers.UsageLine, lang string) []string {
	out := make([]string, 0, len(l.Fields))
	sch, err := a.Service.Schema(l.Register)
	for _, name := range l.Fields {
		label := name
		if err == nil {
			if f, _, ok := sch.Field(name); ok {
				label = f.Label.In(lang)
			}
		}
		out = append(out, label)
	}
	return out
}

func (a *API) receipt(w http.ResponseWriter, r *http.Request) error {
	b, err := readBody(r)
	if err != nil {
		return err
	}
	subject, lineID, err := parseReceipt(b)
	if err != nil {
		return err
	}
	if subject, err = a.subject(r, subject); err != nil {
		return err
	}
	zip, err := a.Usage.Receipt(r.Context(), subject, lineID)
	if err != nil {
		if errs.Is(err, errs.NotFound) {
			return errs.E(errs.NotFound, "registers.line_unknown", err)
		}
		return errs.E(errs.Unavailable, "registers.log_unavailable", err)
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", `attachment; filename="receipt.zip"`)
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(zip) //nolint:gosec // an archive to save
	return err
}

func parseLines(b []byte) (q registers.UsageQuery, err error) {
	m, err := object(b)
	if err != nil {
		return q, err
	}
	q.Limit = defaultLimit
	var from, to string
	for name, v := range map[string]any{"subject": &q.SubjectID, "offset": &q.Offset, "limit": &q.Limit, "from": &from, "to": &to} {
		if err := take(m, name, v); err != nil {
			return q, err
		}
	}
	for name := range m {
		return q, faulty(name, "unknown")
	}
	if q.From, err = instant(from); err != nil {
		return q, faulty("from", "invalid")
	}
	if q.To, err = instant(to); err != nil {
		return q, faulty("to", "invalid")
	}
	if q.Offset < 0 || q.Limit < 1 || q.Limit > maxLimit {
		return q, faulty("limit", "invalid")
	}
	return q, nil
}

func parseReceipt(b []byte) (subject, lineID string, err error) {
	m, err := object(b)
	if err != nil {
		return "", "", err
	}
	if err := take(m, "subject", &subject); err != nil {
		return "", "", err
	}
	if err := take(m, "lineId", &lineID); err != nil {
		return "", "", err
	}
	for name := range m {
		return "", "", faulty(name, "unknown")
	}
	if lineID == "" || len(lineID) > 100 {
		return "", "", faulty("lineId", "required")
	}
	return subject, lineID, nil
}
