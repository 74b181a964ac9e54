package exchange

import (
	"net/url"
	"testing"
)

// FuzzPartyPage reads what a partner answers: nothing is taken that this node could not have asked for, and the position
// of the next page is one that was written by the same rule.
func FuzzPartyPage(f *testing.F) {
	f.Add([]byte(`{"records":[{"node":"VN/GOV/G01/node1","role":"provider","request_id":"r"}],"next":"5.provider.r"}`), "from=1&to=2&cursor=5.consumer.x")
	f.Add([]byte(`{"records":null,"next":"-1..","pruned_until":-5}`), "limit=501")
	f.Fuzz(func(t *testing.T, body []byte, query string) {
		if page, err := decodePartyPage(body, "VN/GOV/G01/node1"); err == nil {
			if len(page.Records) > partyPage {
				t.Errorf("%d records", len(page.Records))
			}
			for _, r := range page.Records {
				if r.Node != "VN/GOV/G01/node1" || r.RequestID == "" {
					t.Errorf("record %+v", r)
				}
			}
		}
		v, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		q, err := partyQuery(v)
		if err != nil {
			return
		}
		if q.Limit > partyPage || q.Subsystem != "" || q.Member != "" || len(q.ExchangeID) > maxRecordID || !q.To.IsZero() && q.To.Before(q.From) {
			t.Errorf("query %+v", q)
		}
		if again, err := ParsePartyPosition(q.After.String()); err != nil || again != q.After {
			t.Errorf("position %+v became %+v, %v", q.After, again, err)
		}
	})
}
