package exchange

import (
	"slices"
	"strings"
)

// Capabilities are what this release can do on the link beyond the plain exchange of a signed request for a signed answer.
// A node tells them to the directory, and the network's policy may demand some of everybody; a name is never given to
// something else.
func Capabilities() []string {
	return []string{
		"agreements",        // the reserved service agreements (ADR 0022)
		"delivery",          // messages, events and their acknowledgements (ADR 0015)
		"exchange-records",  // the reserved service exchange-records
		"frames",            // the link's frames beside HTTP/2
		"shared-signatures", // one signature over a tree of messages (ADR 0014)
		"streams",           // bodies of any size (ADR 0021)
	}
}

// Lacking returns what is demanded and not there, for a fault that says so.
func Lacking(demanded, there []string) (out []string) {
	for _, d := range demanded {
		if !slices.Contains(there, d) {
			out = append(out, d)
		}
	}
	return out
}

// tooOld is the fault of a node that lacks what the network demands.
func (x *exchangeState) tooOld(prefix, code string, lacks []string) *Fault {
	list := strings.Join(lacks, ", ")
	f := x.fault(prefix, code, nil, "notice", list)
	f.Notice = list
	return f
}

// currentPeers leaves out nodes that lack what the network demands; when none is left, the fault says so.
func (x *exchangeState) currentPeers(peers []Peer) ([]Peer, *Fault) {
	if own := x.s.opt.Directory.State().Lacks; len(own) > 0 {
		return nil, x.tooOld(atConsumer, codeConsumerOld, own)
	}
	if !slices.ContainsFunc(peers, func(p Peer) bool { return len(p.Lacks) > 0 }) {
		return peers, nil
	}
	lacks := peers[0].Lacks
	peers = slices.DeleteFunc(slices.Clone(peers), func(p Peer) bool { return len(p.Lacks) > 0 })
	if len(peers) == 0 {
		return nil, x.tooOld(atConsumer, codeProviderOld, lacks)
	}
	return peers, nil
}
