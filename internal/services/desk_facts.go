package services

import (
	"context"
	"encoding/json"
)

// Facts are told as events of this service and type.
const (
	FactsService = "onestop/facts"
	FactType     = "fact"
)

// tell gives a fact to whoever follows the agency's facts.
func (d *Desk) tell(ctx context.Context, tx Queue, f Fact) error {
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return d.Post.Tell(ctx, tx, FactsService, FactType, f.Dossier, b)
}

// TellAll tells the facts there are, in order and all or none. It is for the first start of a desk that kept facts before it
// told them.
func (d *Desk) TellAll(ctx context.Context) error {
	return d.Store.InTx(ctx, func(tx DeskTx) error {
		var last int64
		for {
			facts, err := d.Store.Facts(ctx, last, 500)
			if err != nil || len(facts) == 0 {
				return err
			}
			for _, f := range facts {
				if err := d.tell(ctx, tx, f); err != nil {
					return err
				}
			}
			last = facts[len(facts)-1].Seq
		}
	})
}
