package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"truc/internal/exchange/agreement"
	"truc/internal/orgcode"
)

// FieldNaming says how a caller names the fields it asks a service for; a grant that lists fields can only be used with a
// service that has a way.
type FieldNaming struct {
	// Query is a parameter that holds names separated by commas, Member the name of a member of the JSON body that holds
	// a list of names. One of them, or both.
	Query, Member string
}

// Required decides whether a call of a service needs a grant.
type Required func(service orgcode.Service) bool

// needsGrant reports whether a call between two members needs a grant here. Within a member there is nobody to agree with;
// metadata services tell each caller only what concerns it.
func (s *Service) needsGrant(client orgcode.Subsystem, service orgcode.Service) bool {
	return s.opt.RequireGrant != nil && client.MemberID() != service.Owner().MemberID() && !slices.Contains(reservedCodes, service.Code) && s.opt.RequireGrant(service)
}

// Permits returns what is agreed at this moment.
func (s *Service) Permits() *agreement.Snapshot { return s.permits.Load() }

// representedMember reads X-Road-Represented-Party, "[class/]code" (spec §2.2), as a member's id.
func representedMember(party string, client orgcode.Subsystem) (string, error) {
	class, code, ok := strings.Cut(party, "/")
	if !ok {
		class, code = client.Class, party
	}
	id := client.Instance + "/" + class + "/" + code
	if !agreement.IsMember(id) {
		return "", fmt.Errorf("%q is no represented party", party)
	}
	return id, nil
}

// chooseGrant finds the grant under which a call may leave, and puts it on the request. Without one the call stays here.
func (x *exchangeState) chooseGrant(c Call, req *WireRequest) *Fault {
	s := x.s
	if c.Party != "" {
		id, err := representedMember(c.Party, c.From)
		if err != nil || !cleanField(c.Party) {
			return x.fault(atClient, "bad_request", err)
		}
		x.msg.Delegator = id
		req.Header.Set(HeaderParty, c.Party)
	}
	if slices.Contains(reservedCodes, c.To.Code) && c.Party == "" {
		return nil
	}
	permit, verdict := s.permits.Load().Choose(agreement.Query{
		Consumer: x.msg.Client, Service: x.msg.Service, Method: x.msg.Method, Path: x.path, Activity: c.Activity, Delegator: x.msg.Delegator,
		KeyID: s.KeyID(), At: s.now(),
	})
	if permit == nil {
		if c.Party != "" || s.needsGrant(c.From, c.To) {
			return x.grantFault(atConsumer, verdict)
		}
		return nil
	}
	if f := x.grantEvidence(permit); f != nil {
		return f
	}
	x.msg.Grant, x.msg.ServiceDelegator = permit.Hash, string(permit.Grant.Service.Delegator)
	req.Header.Set(HeaderGrant, permit.Hash)
	return nil
}

func (x *exchangeState) grantFault(prefix string, v agreement.Verdict) *Fault {
	code := "no_agreement"
	if v == agreement.OutOfTime {
		code = "agreement_expired"
	}
	return x.fault(prefix, code, errors.New(v.String()), "service", x.msg.Service)
}

// parseGrant reads the grant and the represented party of an incoming request. Nothing is believed yet; but what the log
// says about the parties must be there when the request is logged.
func (x *exchangeState) parseGrant(req *WireRequest, client orgcode.Subsystem) error {
	x.msg.Grant = req.Header.Get(HeaderGrant)
	if x.msg.Grant != "" && !agreement.IsHash(x.msg.Grant) {
		return errors.New("the grant is no hash")
	}
	if p := x.s.permits.Load().ByHash(x.msg.Grant); p != nil && x.msg.Grant != "" {
		x.msg.ServiceDelegator = string(p.Grant.Service.Delegator)
	}
	if party := req.Header.Get(HeaderParty); party != "" {
		id, err := representedMember(party, client)
		if err != nil {
			return err
		}
		x.msg.Delegator = id
	}
	return nil
}

// checkGrant applies the grant that a request names, or refuses one that should name one.
func (x *exchangeState) checkGrant(req *WireRequest, t Target, client orgcode.Subsystem, o offer) *Fault {
	s := x.s
	if x.msg.Grant == "" {
		if x.msg.Delegator != "" || s.needsGrant(client, t.Service) {
			return x.grantFault(atProvider, agreement.NoGrant)
		}
		return nil
	}
	permit := s.permits.Load().ByHash(x.msg.Grant)
	if permit == nil {
		return x.grantFault(atProvider, agreement.NoGrant)
	}
	v := permit.Check(agreement.Query{
		Consumer: x.msg.Client, Service: x.msg.Service, Method: x.msg.Method, Path: t.Path.Decoded(), Activity: x.msg.Activity, Delegator: x.msg.Delegator,
		KeyID: x.entry.KeyID, At: s.now(),
	})
	if v != agreement.Allowed {
		return x.grantFault(atProvider, v)
	}
	if f := x.grantEvidence(permit); f != nil {
		return f
	}
	if len(permit.Grant.Purpose.Fields) > 0 {
		if err := checkFields(o.Fields, permit.Grant.Purpose.Fields, t.Query, req.Body); err != nil {
			return x.fault(atProvider, "access_denied", err, "service", x.msg.Service)
		}
	}
	return nil
}

// checkFields demands that a request names the fields it asks for, and only granted ones.
func checkFields(how FieldNaming, granted []string, query string, body []byte) error {
	var asked []string
	if how.Query != "" {
		names, err := queryFields(how.Query, query)
		if err != nil {
			return err
		}
		asked = append(asked, names...)
	}
	if how.Member != "" && len(body) > 0 {
		names, err := bodyFields(how.Member, body)
		if err != nil {
			return err
		}
		asked = append(asked, names...)
	}
	if len(asked) == 0 {
		return errors.New("the grant lists fields, and the request names none")
	}
	for _, f := range asked {
		if !slices.Contains(granted, f) {
			return errors.New("the request names a field that is not granted") // the name itself may be anything
		}
	}
	return nil
}

func queryFields(param, query string) ([]string, error) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, errors.New("the query cannot be read")
	}
	var out []string
	for name, values := range q {
		if !strings.EqualFold(name, param) {
			continue
		}
		if name != param || len(values) != 1 {
			return nil, errors.New("the fields are named in more than one way")
		}
		for f := range strings.SplitSeq(values[0], ",") {
			out = append(out, strings.TrimSpace(f))
		}
	}
	return out, nil
}

// bodyFields reads the names out of a JSON object. A member that occurs twice, or once more in other letters, is refused:
// the service might read the other one.
func bodyFields(member string, body []byte) ([]string, error) {
	unreadable := errors.New("the body is no JSON object")
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, unreadable
	}
	var out []string
	seen := false
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, unreadable
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return nil, unreadable
		}
		if !strings.EqualFold(name, member) {
			continue
		}
		if name != member || seen {
			return nil, errors.New("the fields are named in more than one way")
		}
		seen = true
		if err := json.Unmarshal(v, &out); err != nil || slices.Contains(out, "") {
			return nil, errors.New("the fields are no list of names")
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, unreadable
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, unreadable
	}
	return out, nil
}

// delegatorOf is [representedMember] for a verifier, who has the client as text; "" for nobody.
func delegatorOf(party, client string) string {
	sub, err := orgcode.ParseSubsystem(client)
	if party == "" || err != nil {
		return ""
	}
	id, err := representedMember(party, sub)
	if err != nil {
		return party
	}
	return id
}
