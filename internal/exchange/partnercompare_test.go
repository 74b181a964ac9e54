package exchange

import "testing"

// TestJudge holds what one side tells of an exchange against the other's.
func TestJudge(t *testing.T) {
	good := PartyRecord{
		RequestID: "r", Role: RoleConsumer, Client: "c", Service: "s", Status: 200, Outcome: "ok",
		RequestDigest: "d", RequestSignature: "q", ResponseDigest: "e", ResponseSignature: "a",
	}
	for _, tt := range []struct {
		name string
		edit func(*PartyRecord)
		want string
	}{
		{"alike", func(*PartyRecord) {}, ""},
		{"killed while the request streamed", func(r *PartyRecord) { r.RequestDigest = digestPending }, ""},
		{"killed while the answer streamed", func(r *PartyRecord) { r.ResponseDigest = digestPending }, ""},
		{"the answer never came", func(r *PartyRecord) {
			r.Outcome, r.Status, r.ResponseDigest, r.ResponseSignature = "server.clientproxy.network_error", 0, "", ""
		}, ""},
		{"another body", func(r *PartyRecord) { r.RequestDigest = "x" }, RequestDiffers},
		{"another signature", func(r *PartyRecord) { r.RequestSignature = "x" }, RequestDiffers},
		{"another service", func(r *PartyRecord) { r.Service = "x" }, RequestDiffers},
		{"another client", func(r *PartyRecord) { r.Client = "x" }, RequestDiffers},
		{"another answer", func(r *PartyRecord) { r.ResponseDigest = "x" }, AnswerDiffers},
		{"another signature of it", func(r *PartyRecord) { r.ResponseSignature = "x" }, AnswerDiffers},
		{"another status", func(r *PartyRecord) { r.Status = 404 }, AnswerDiffers},
	} {
		other := good
		tt.edit(&other)
		for _, pair := range [][2]PartyRecord{{good, other}, {other, good}} {
			c := &comparer{out: &PartnerComparison{}}
			c.judge(pair[0], pair[1])
			got := ""
			if len(c.out.Differences) > 0 {
				got = c.out.Differences[0].Kind
			}
			if got != tt.want || (c.out.Agreed == 1) != (tt.want == "") {
				t.Errorf("%s: %q, %d agree; want %q", tt.name, got, c.out.Agreed, tt.want)
			}
		}
	}
}
