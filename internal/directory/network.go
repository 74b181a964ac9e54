package directory

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"

	"truc/internal/i18n"
)

// Standing is where a member's node or subsystem stands on its way through the network. The names are those that X-Road
// gives to the clients of a security server.
type Standing string

// The states. Only Registered, Disabled and, of members, Left stand in the document; the others are known to the center, or
// to the node itself, alone.
const (
	// Saved: invited, but nothing was asked yet.
	Saved Standing = "saved"
	// Registering: a join request waits for the center's operator.
	Registering Standing = "registering"
	Registered  Standing = "registered"
	// Disabled: out of use for a time; nobody may call it and it may call nobody.
	Disabled Standing = "disabled"
	// Deleting: it asked to leave and the center's operator has yet to confirm, or its keys are revoked; it stays in the
	// document so that old evidence can be checked.
	Deleting Standing = "deleting"
	// Left: it asked to leave and was let go.
	Left Standing = "left"
	// Failed: declined, or its certificate ended without a renewal.
	Failed Standing = "error"
)

func (s Standing) valid() bool { return s == "" || s == Registered || s == Disabled }

// Subsystem is one information system of a member: what calls and what is granted access.
type Subsystem struct {
	// ID is "VN/GOV/H36/onestop".
	ID    string    `json:"id"`
	Name  i18n.Text `json:"name"`
	State Standing  `json:"state"`
}

// Group is a global group: a list of subsystems that the center keeps and that every node's access rules may name.
type Group struct {
	// Code is unique in the instance, such as "provinces".
	Code string    `json:"code"`
	Name i18n.Text `json:"name"`
	// Members are subsystem identifiers, sorted.
	Members []string `json:"members"`
}

// Witness cosigns checkpoints of logs (C2SP tlog-witness).
type Witness struct {
	// Node is the identifier of the node that runs it, or a name of the center's choice for one outside the network.
	Node string `json:"node"`
	// Key is its note verifier key.
	Key string `json:"key"`
	// URL is the prefix under which add-checkpoint is posted, without a slash at the end.
	URL string `json:"url"`
}

// Policy is what the instance demands of everybody in it.
type Policy struct {
	// Approval: every join waits for an operator of the center, whatever its token says.
	Approval bool `json:"approval"`
	// Agreements: a call needs a valid agreement besides an access rule (spec D11).
	Agreements bool `json:"agreements"`
	// ContinueExpired lets nodes go on as degraded when the document has expired, instead of stopping (spec D29).
	ContinueExpired bool `json:"continue_expired"`
	// Requires are capabilities that every node must have told; one that lacks some is neither asked nor let in. Sorted.
	Requires []string `json:"requires,omitempty"`
}

// Lacks returns what the policy demands and the node has not told that it can do.
func (d *Document) Lacks(n *Node) (out []string) {
	for _, r := range d.Policy.Requires {
		if !slices.Contains(n.Capabilities, r) {
			out = append(out, r)
		}
	}
	return out
}

var capabilityRE = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// checkCapabilities bounds what a node tells and what a policy demands.
func checkCapabilities(list []string) error {
	if len(list) > 64 {
		return fmt.Errorf("%d capabilities", len(list))
	}
	for _, c := range list {
		if !capabilityRE.MatchString(c) {
			return fmt.Errorf("capability %q", c)
		}
	}
	return nil
}

// Subsystem returns the description of a subsystem.
func (d *Document) Subsystem(id string) (Subsystem, bool) {
	i, ok := slices.BinarySearchFunc(d.Subsystems, id, func(s Subsystem, id string) int { return strings.Compare(s.ID, id) })
	if !ok {
		return Subsystem{}, false
	}
	return d.Subsystems[i], true
}

// Group returns the global group with a code.
func (d *Document) Group(code string) (Group, bool) {
	i, ok := slices.BinarySearchFunc(d.Groups, code, func(g Group, code string) int { return strings.Compare(g.Code, code) })
	if !ok {
		return Group{}, false
	}
	return d.Groups[i], true
}

// InGroup reports whether a subsystem belongs to a global group.
func (d *Document) InGroup(code, subsystem string) bool {
	g, ok := d.Group(code)
	if !ok {
		return false
	}
	_, ok = slices.BinarySearch(g.Members, subsystem)
	return ok
}

// InForce reports whether a node takes part: it is neither revoked nor disabled.
func (d *Document) InForce(n *Node) bool { return n.State != Disabled && !d.IsRevoked(n.TLSKeyID) }

// Accepts reports whether a channel key belongs to a node that takes part and may still be used.
func (d *Document) Accepts(tlsKeyID string) bool {
	for i := range d.Nodes {
		if n := &d.Nodes[i]; n.AcceptsTLS(tlsKeyID) {
			return d.InForce(n) && !d.IsRevoked(tlsKeyID)
		}
	}
	return false
}

// AcceptsTLS reports whether a node may show a channel key: its current one, or an old one while the change spreads.
// Whether that key was revoked is [Document.IsRevoked]'s business.
func (n *Node) AcceptsTLS(keyID string) bool {
	return keyID != "" && (n.TLSKeyID == keyID || slices.Contains(n.OldTLSKeyIDs, keyID))
}

// Providers returns the ids of the nodes that serve it. Documents of centers that knew of one node only name just that.
func (s *Service) Providers() []string {
	if len(s.Nodes) == 0 {
		return []string{s.Node}
	}
	return s.Nodes
}

// validateLists checks the lists that stand beside members, nodes and services.
func (d *Document) validateLists() error {
	for i, s := range d.Subsystems {
		if i > 0 && d.Subsystems[i-1].ID >= s.ID {
			return fmt.Errorf("subsystems are not in order at %s", s.ID)
		}
		if err := validID(s.ID, d.Instance, 4); err != nil {
			return err
		}
		if !s.State.valid() {
			return fmt.Errorf("subsystem %s: state %q", s.ID, s.State)
		}
	}
	for i, g := range d.Groups {
		if i > 0 && d.Groups[i-1].Code >= g.Code {
			return fmt.Errorf("groups are not in order at %s", g.Code)
		}
		if err := g.validate(d.Instance); err != nil {
			return err
		}
	}
	for i, w := range d.Witnesses {
		if i > 0 && d.Witnesses[i-1].Node >= w.Node {
			return fmt.Errorf("witnesses are not in order at %s", w.Node)
		}
		if u, err := url.Parse(w.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || w.Key == "" {
			return fmt.Errorf("witness %s has no usable key and address", w.Node)
		}
	}
	return nil
}

func (g *Group) validate(instance string) error {
	if !segmentRE.MatchString(g.Code) {
		return fmt.Errorf("group %q has no usable code", g.Code)
	}
	if !sort.StringsAreSorted(g.Members) || len(slices.Compact(slices.Clone(g.Members))) != len(g.Members) {
		return fmt.Errorf("the members of group %s are not in order", g.Code)
	}
	for _, m := range g.Members {
		if err := validID(m, instance, 4); err != nil {
			return err
		}
	}
	return nil
}
