package exchange

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"truc/internal/orgcode"
)

// The JSON shapes of X-Road's metadata services (spec §2.8).
type metaID struct {
	ObjectType   string     `json:"object_type"`
	Instance     string     `json:"xroad_instance"`
	Class        string     `json:"member_class"`
	Code         string     `json:"member_code"`
	Subsystem    string     `json:"subsystem_code,omitempty"`
	ServiceCode  string     `json:"service_code,omitempty"`
	ServiceType  string     `json:"service_type,omitempty"`
	EndpointList []Endpoint `json:"endpoint_list,omitempty"`
	// Disabled and Notice are ours: X-Road lists a disabled service without a word.
	Disabled bool   `json:"disabled,omitempty"`
	Notice   string `json:"notice,omitempty"`
}

// metadata answers listMethods, allowedMethods and getOpenAPI for a caller, or names the fault. Unlike X-Road it lists
// what the caller may use, not everything there is (spec D9).
func (s *Service) metadata(t Target, client orgcode.Subsystem, method string) (h http.Handler, fault string) {
	if method != http.MethodGet && slices.Contains([]string{"listMethods", "allowedMethods", "getOpenAPI"}, t.Service.Code) {
		return nil, "invalid_http_method"
	}
	switch t.Service.Code {
	case "listMethods", "allowedMethods":
		list := map[string]any{"service": s.methodsFor(t.Service.Owner(), client, t.Service.Code == "allowedMethods")}
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, list) }), ""
	case "getOpenAPI":
		return s.openAPI(t, client)
	case EventsCode:
		if in := s.inboxOf(); in != nil {
			return in.Inbox(), ""
		}
	}
	s.mu.RLock()
	h = s.meta[t.Service.Code]
	s.mu.RUnlock()
	if h == nil {
		return nil, "unknown_service"
	}
	return h, ""
}

func (s *Service) methodsFor(owner, client orgcode.Subsystem, allowedOnly bool) []metaID {
	s.mu.RLock()
	rules := s.rules
	s.mu.RUnlock()
	granted := func(id orgcode.Service) bool { return s.permits.Load().Reaches(client.String(), id.String(), s.now()) }
	out := []metaID{}
	for _, o := range s.Offers() {
		if o.ID.Owner() != owner || !o.Public && !s.opt.ListAll && !rules.reaches(client, o.ID) && !granted(o.ID) {
			continue
		}
		endpoints := o.Endpoints
		if len(endpoints) == 0 {
			endpoints = []Endpoint{{Method: "*", Path: "**"}}
		}
		if allowedOnly {
			if endpoints = rules.endpoints(client, o.ID); len(endpoints) == 0 || s.needsGrant(client, o.ID) && !granted(o.ID) {
				continue
			}
		}
		kind := "REST"
		if len(o.OpenAPI) > 0 {
			kind = "OPENAPI"
		}
		out = append(out, metaID{
			ObjectType: "SERVICE", Instance: o.ID.Instance, Class: o.ID.Class, Code: o.ID.Member,
			Subsystem: o.ID.Subsystem, ServiceCode: o.ID.Code, ServiceType: kind, EndpointList: endpoints,
			Disabled: o.Disabled, Notice: o.Notice,
		})
	}
	return out
}

// openAPI serves a stored description; it is never fetched on demand, so nobody can make the node fetch things.
func (s *Service) openAPI(t Target, client orgcode.Subsystem) (h http.Handler, fault string) {
	q, err := url.ParseQuery(t.Query)
	if err != nil {
		return nil, "bad_request"
	}
	id := t.Service
	id.Code = q.Get("serviceCode")
	o, ok := s.offered(id)
	s.mu.RLock()
	rules := s.rules
	s.mu.RUnlock()
	if !ok || !o.Public && !rules.reaches(client, id) {
		return nil, "unknown_service"
	}
	if len(o.OpenAPI) == 0 {
		return nil, "service_type"
	}
	doc, err := HideServers(o.OpenAPI)
	if err != nil { // rather nothing than the addresses inside the agency
		return nil, "internal_error"
	}
	kind := "application/yaml"
	if isJSON(doc) {
		kind = "application/json"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(doc)
	}), ""
}

// ClientList is X-Road's listClients.
func (s *Service) ClientList() []ClientEntry {
	out := []ClientEntry{}
	for _, m := range s.opt.Directory.Members() {
		id, err := orgcode.ParseSubsystem(m.ID + "/x")
		if err != nil {
			continue
		}
		name := m.Name["vi"]
		out = append(out, ClientEntry{ID: metaID{ObjectType: "MEMBER", Instance: id.Instance, Class: id.Class, Code: id.Member}, Name: name})
		for _, sub := range m.Subsystems {
			if p, err := orgcode.ParseSubsystem(sub); err == nil {
				out = append(out, ClientEntry{
					Name: name, SubsystemName: p.Code,
					ID: metaID{ObjectType: "SUBSYSTEM", Instance: p.Instance, Class: p.Class, Code: p.Member, Subsystem: p.Code},
				})
			}
		}
	}
	return out
}

// ClientEntry is one row of listClients.
type ClientEntry struct {
	ID            metaID `json:"id"`
	Name          string `json:"name"`
	SubsystemName string `json:"subsystem_name,omitempty"`
}

func writeJSON(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	_, _ = w.Write(b)
}
