package app

import (
	"context"
	"strings"

	"truc/internal/exchange"
)

// checkRelease holds this node, and those it may have to do with, to what the network's policy demands.
func (n *Node) checkRelease(context.Context) []exchange.Finding {
	f := exchange.Finding{Name: "release", Light: exchange.LightGood, Key: "exchange.diag.release_good"}
	if lacks := n.follower.Lacks(); len(lacks) > 0 {
		f.Light, f.Key, f.Args, f.Todo = exchange.LightBad, "exchange.diag.release_old", []any{"lacks", strings.Join(lacks, ", ")}, "exchange.diag.release_todo"
		return []exchange.Finding{f}
	}
	doc := n.follower.Document()
	if doc == nil || len(doc.Policy.Requires) == 0 {
		return []exchange.Finding{f}
	}
	var old []string
	for i := range doc.Nodes {
		if x := &doc.Nodes[i]; doc.InForce(x) && len(doc.Lacks(x)) > 0 {
			old = append(old, x.ID)
		}
	}
	if len(old) > 0 {
		const most = 10
		list := strings.Join(old[:min(most, len(old))], ", ")
		if len(old) > most {
			list += ", …"
		}
		f.Light, f.Key, f.Args = exchange.LightWarn, "exchange.diag.peers_old", []any{"n", len(old), "nodes", list}
	}
	return []exchange.Finding{f}
}
