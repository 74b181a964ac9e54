package exchange

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/orgcode"
)

// Limits of operational records (X-Road's own where it has one).
const (
	// RecordsWithheld is how long a record is not told: exchanges that are being recorded may still come before it.
	RecordsWithheld = 60 * time.Second
	// RecordsKept is how far back records are told when nothing else is configured.
	RecordsKept = 7 * 24 * time.Hour
	// recordsPage is how many records an answer holds before it ends with the second that is full.
	recordsPage = 10_000
)

// Record is an operational record: the 39 fields of X-Road's monitoring protocol by their names, and seven of our own.
// The id of a person (messageUserId) is always empty: it is kept sealed in the log and goes to no monitoring.
type Record struct {
	MonitoringDataTS             int64  `json:"monitoringDataTs" doc:"Unix seconds"`
	SecurityServerInternalIP     string `json:"securityServerInternalIp"`
	SecurityServerType           string `json:"securityServerType" enum:"Client,Producer"`
	RequestInTS                  int64  `json:"requestInTs" doc:"Unix milliseconds"`
	RequestOutTS                 int64  `json:"requestOutTs,omitempty"`
	ResponseInTS                 int64  `json:"responseInTs,omitempty"`
	ResponseOutTS                int64  `json:"responseOutTs"`
	ClientXRoadInstance          string `json:"clientXRoadInstance"`
	ClientMemberClass            string `json:"clientMemberClass"`
	ClientMemberCode             string `json:"clientMemberCode"`
	ClientSubsystemCode          string `json:"clientSubsystemCode"`
	ServiceXRoadInstance         string `json:"serviceXRoadInstance"`
	ServiceMemberClass           string `json:"serviceMemberClass"`
	ServiceMemberCode            string `json:"serviceMemberCode"`
	ServiceSubsystemCode         string `json:"serviceSubsystemCode"`
	ServiceCode                  string `json:"serviceCode"`
	RestMethod                   string `json:"restMethod"`
	RestPath                     string `json:"restPath,omitempty"`
	ServiceVersion               string `json:"serviceVersion,omitempty"`
	RepresentedPartyClass        string `json:"representedPartyClass,omitempty"`
	RepresentedPartyCode         string `json:"representedPartyCode,omitempty"`
	MessageID                    string `json:"messageId"`
	MessageUserID                string `json:"messageUserId,omitempty"`
	MessageIssue                 string `json:"messageIssue,omitempty"`
	MessageProtocolVersion       string `json:"messageProtocolVersion"`
	ClientSecurityServerAddress  string `json:"clientSecurityServerAddress"`
	ServiceSecurityServerAddress string `json:"serviceSecurityServerAddress"`
	RequestSize                  int64  `json:"requestSize"`
	RequestMimeSize              int64  `json:"requestMimeSize,omitempty"`
	RequestAttachmentCount       int64  `json:"requestAttachmentCount"`
	ResponseSize                 int64  `json:"responseSize"`
	ResponseMimeSize             int64  `json:"responseMimeSize,omitempty"`
	ResponseAttachmentCount      int64  `json:"responseAttachmentCount"`
	Succeeded                    bool   `json:"succeeded"`
	ServiceType                  string `json:"serviceType" enum:"REST,OPENAPI3"`
	FaultCode                    string `json:"faultCode,omitempty"`
	FaultString                  string `json:"faultString,omitempty"`
	StatusCode                   int    `json:"statusCode,omitempty"`
	XRoadVersion                 string `json:"xRoadVersion"`
	// Ours.
	XRequestID     string `json:"xRequestId"`
	TraceID        string `json:"traceId,omitempty"`
	GrantHash      string `json:"grantHash,omitempty"`
	Purpose        string `json:"purpose,omitempty"`
	Outcome        string `json:"outcome"`
	QuotaState     string `json:"quotaState" enum:"within,exceeded"`
	CheckpointSize int64  `json:"checkpointSize,omitempty" doc:"entries in the log when the last entry of the exchange was in"`
}

// recordVersion is what a record says of the software: that it is not X-Road's.
const recordVersion = "truc-1"

// RecordQuery asks for operational records.
type RecordQuery struct {
	// From and To are Unix seconds of monitoringDataTs, both inclusive; zero is open.
	From, To int64
	// Client is a subsystem; only its own records are told. Empty: all.
	Client string
	// Kept is how far back records are told; [RecordsKept] when zero.
	Kept time.Duration
}

// RecordPage says what an answer holds.
type RecordPage struct {
	span RecordSpan
	// Next is the second at which the next answer begins; 0 when there is no more at present.
	Next int64
}

// RecordPage finds how far one answer reaches: whole seconds, so that the next begins where this one ends.
func (s *Service) RecordPage(ctx context.Context, q RecordQuery) (RecordPage, error) {
	if q.From < 0 || q.To < 0 || q.To > 0 && q.To < q.From {
		return RecordPage{}, errs.E(errs.Invalid, "exchange.records.span", nil)
	}
	kept := q.Kept
	if kept <= 0 {
		kept = RecordsKept
	}
	if err := s.Flush(ctx); err != nil {
		return RecordPage{}, err
	}
	now := s.now()
	span := RecordSpan{From: now.Add(-kept), To: now.Add(-RecordsWithheld).Truncate(time.Second), Client: q.Client}
	if from := time.Unix(q.From, 0); from.After(span.From) {
		span.From = from
	}
	withheld := true // the end of the span is that of what may be told, so there may be more later
	if q.To > 0 {
		if to := time.Unix(q.To+1, 0); !to.After(span.To) {
			span.To, withheld = to, false
		}
	}
	p := RecordPage{span: span}
	at, more, err := s.opt.Store.RecordAt(ctx, span, recordsPage)
	if err != nil {
		return p, err
	}
	if more {
		p.span.To = at.Truncate(time.Second)
		if !p.span.To.After(p.span.From) { // one second holds more than a page: it comes whole
			p.span.To = p.span.To.Add(time.Second)
		}
		p.Next = p.span.To.Unix()
		return p, nil
	}
	if withheld {
		p.Next = span.To.Unix()
	}
	return p, nil
}

// Records passes on the records of a page, oldest first.
func (s *Service) Records(ctx context.Context, p RecordPage, f func(Record) error) error {
	kinds := map[string]string{}
	for _, o := range s.Offers() {
		if len(o.OpenAPI) > 0 {
			kinds[o.ID.String()] = "OPENAPI3"
		}
	}
	own := ""
	addresses := map[string]string{} // by server id
	address := func(id, subsystem string) string {
		if a, ok := addresses[id]; ok {
			return a
		}
		addresses[id] = s.addressOf(id, subsystem)
		return addresses[id]
	}
	if len(s.opt.Subsystems) > 0 {
		own = address(s.opt.ServerID, s.opt.Subsystems[0])
	}
	return s.opt.Store.Records(ctx, p.span, func(m Message) error {
		r := recordOf(m)
		client, service := own, own
		if m.Role == RoleConsumer {
			service = address(m.Peer, ownerOf(m.Service))
		} else {
			client = address(m.Peer, m.Client)
		}
		r.SecurityServerInternalIP, r.ClientSecurityServerAddress, r.ServiceSecurityServerAddress = own, client, service
		if kind := kinds[m.Service]; kind != "" {
			r.ServiceType = kind
		}
		return f(r)
	})
}

// addressOf is the host of a node's link, or its id when the directory does not know it any more.
func (s *Service) addressOf(id, subsystem string) string {
	sub, err := orgcode.ParseSubsystem(subsystem)
	if err != nil {
		return id
	}
	peers := s.opt.Directory.Hosts(sub)
	i := slices.IndexFunc(peers, func(p Peer) bool { return p.ServerID == id })
	if i < 0 {
		return id
	}
	return strings.TrimPrefix(peers[i].URL, "https://")
}

// recordOf writes a row in the words of X-Road.
func recordOf(m Message) Record {
	millis := func(t time.Time) int64 {
		if t.IsZero() {
			return 0
		}
		return t.UnixMilli()
	}
	r := Record{
		MonitoringDataTS: m.Recorded.Unix(), SecurityServerType: "Client", RequestInTS: millis(m.At), RequestOutTS: millis(m.RequestOut), ResponseInTS: millis(m.ResponseIn),
		ResponseOutTS: millis(m.At.Add(m.Duration)), RestMethod: m.Method, MessageID: cut(m.ExchangeID, 255), MessageIssue: cut(m.Dossier, 255), MessageProtocolVersion: "1",
		RequestSize: m.RequestSize, ResponseSize: m.ResponseSize, Succeeded: m.Outcome == "ok" && m.Status < 400, ServiceType: "REST", StatusCode: m.Status,
		XRoadVersion: recordVersion, XRequestID: m.RequestID, TraceID: m.TraceID, GrantHash: m.Grant, Purpose: cut(m.Activity, 255), Outcome: m.Outcome, QuotaState: "within",
	}
	if m.Role == RoleProvider {
		r.SecurityServerType, r.RestPath = "Producer", cut(m.Path, 255)
	}
	if m.Outcome != "ok" {
		r.FaultCode, r.FaultString = cut(m.Outcome, 255), cut(fmt.Sprintf("%s [%s]", faultText(m.Outcome), m.FaultID), 2048)
		if codeOf(m.Outcome) == "quota_exceeded" {
			r.QuotaState = "exceeded"
		}
	}
	if m.ResponseIndex >= 0 {
		r.CheckpointSize = m.ResponseIndex + 1
	}
	for i, part := range strings.SplitN(m.Client, "/", 4) {
		*[]*string{&r.ClientXRoadInstance, &r.ClientMemberClass, &r.ClientMemberCode, &r.ClientSubsystemCode}[i] = part
	}
	for i, part := range strings.SplitN(m.Service, "/", 5) {
		*[]*string{&r.ServiceXRoadInstance, &r.ServiceMemberClass, &r.ServiceMemberCode, &r.ServiceSubsystemCode, &r.ServiceCode}[i] = part
	}
	if p := strings.SplitN(m.Delegator, "/", 3); len(p) == 3 {
		r.RepresentedPartyClass, r.RepresentedPartyCode = p[1], p[2]
	}
	return r
}

func faultText(typ string) string {
	return strings.ReplaceAll(strings.ReplaceAll(codeOf(typ), "_", " "), ".", ": ")
}

// cut shortens to a number of bytes at the boundary of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// ownerOf returns the subsystem of a service.
func ownerOf(service string) string {
	return service[:max(0, strings.LastIndexByte(service, '/'))]
}

// RecordFields are the names of a record's fields, in order.
func RecordFields() []string {
	var out []string
	for f := range reflect.TypeFor[Record]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, name)
	}
	return out
}
