package app

import (
	"truc/internal/exchange"
	"truc/internal/exchange/exchangeapi"
	"truc/internal/exchange/exchangestore"
)

// startPartner tells partners what this node's log holds of exchanges with them, and lets operators ask them the same.
func (n *Node) startPartner(store *exchangestore.Store) error {
	records := &exchange.PartyRecords{Service: n.exchange, Store: store, Audit: n.act, Now: n.now, Log: n.log}
	n.exchange.Reserve(exchange.ServiceRecords, records)
	return (&exchangeapi.ManagePartner{Records: records}).Declare(n.manage)
}
