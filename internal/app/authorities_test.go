package app

import (
	"strings"
	"testing"

	"truc/internal/exchange"
)

// Authorities are asked by what their tokens cost, else as they are written.
func TestAuthoritiesByCost(t *testing.T) {
	for order, want := range map[string]string{
		"": "free1 paid1 free2 paid2", "free_first": "free1 free2 paid1 paid2", "paid_first": "paid1 paid2 free1 free2", "only_free": "free1 free2", "only_paid": "paid1 paid2",
	} {
		c := TimestampConfig{Order: order, Authorities: []AuthorityConfig{{Name: "free1"}, {Name: "paid1", Paid: true}, {Name: "free2"}, {Name: "paid2", Paid: true}}}
		var got []string
		for _, a := range c.ordered() {
			got = append(got, a.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v, want %s", order, got, want)
		}
		if c.Authorities[1].Name != "paid1" {
			t.Error("the configuration was changed")
		}
	}
}

func TestEvidenceSettingsAreChecked(t *testing.T) {
	cfg := alone(t, with(modules[0]))
	cfg.Timestamp.Order = "cheapest"
	cfg.Timestamp.Authorities = []AuthorityConfig{{URL: "https://tsa.example.vn/", Roots: "roots.pem", PerDay: -1}}
	cfg.Evidence.BodySubsystems = map[string]exchange.BodyMode{"VN/GOV/X/stranger": exchange.BodyFull, cfg.subsystems()[0]: "sometimes"}
	got := ""
	for _, err := range cfg.Check() {
		got += err.Error() + "\n"
	}
	for _, want := range []string{"timestamp.order", "per_day", `body_subsystems: "VN/GOV/X/stranger"`, `"sometimes"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not complained about:\n%s", want, got)
		}
	}
}
