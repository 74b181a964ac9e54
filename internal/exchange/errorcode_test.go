package exchange

import (
	"regexp"
	"strings"
	"testing"
)

// The exceptions of spec D5, and the rule for what is in no table.
func TestLegacyType(t *testing.T) {
	for typ, want := range map[string]string{
		"client.bad_request":                                     "Client.BadRequest",
		"server.clientproxy.io_error":                            "Server.ClientProxy.IOError",
		"server.serverproxy.access_denied":                       "Server.ServerProxy.AccessDenied",
		"server.serverproxy.opmonitor.access_denied":             "Server.ServerProxy.OpMonitor.AccessDenied",
		"server.serverproxy.service_failed.unknown_host":         "Server.ServerProxy.ServiceFailed.NetworkError",
		"server.clientproxy.hsm_non_operational":                 "Server.ClientProxy.HSMNonOperational",
		"server.clientproxy.hashchain_unused_inputs":             "Server.ClientProxy.HashChainUnusedInputs",
		"signer.token_readonly":                                  "Signer.TokenReadOnly",
		"server.clientproxy.global_conf_outdated":                "Server.ClientProxy.OutdatedGlobalConf",
		"server.clientproxy.outdated_global_conf":                "Server.ClientProxy.OutdatedGlobalConf",
		"server.clientproxy.signature_verification.invalid_xml":  "Server.ClientProxy.SignatureVerification.InvalidXml",
		"server.serverproxy.quota_exceeded":                      "Server.ServerProxy.QuotaExceeded",
		"server.serverproxy.client_proxy_version_not_supported":  "Server.ServerProxy.ClientProxyVersionNotSupported",
		"server.serverproxy.service_failed.asic_hash_chain_none": "Server.ServerProxy.ServiceFailed.AsicHashChainNone",
	} {
		if got := LegacyType(typ); got != want {
			t.Errorf("LegacyType(%q) = %q; want %q", typ, got, want)
		}
	}
}

func TestEdgeType(t *testing.T) {
	for _, tt := range []struct {
		code       string
		native     bool
		typ, exact string
	}{
		{"access_denied", false, "server.serverproxy.access_denied", ""},
		{"no_agreement", false, "server.serverproxy.access_denied", "no_agreement"},
		{"no_agreement", true, "server.serverproxy.no_agreement", ""},
		{"agreement_expired", false, "server.serverproxy.access_denied", "agreement_expired"},
		{"circuit_open", false, "server.serverproxy.network_error", "circuit_open"},
		{"deadline_exceeded", false, "server.serverproxy.network_error", "deadline_exceeded"},
		{"quota_exceeded", false, "server.serverproxy.quota_exceeded", ""},
		{"replayed_message", false, "server.serverproxy.replayed_message", ""},
		{"logging_failed", false, "server.serverproxy.logging_failed.io_error", ""},
		{"service_failed.invalid_body", true, "server.serverproxy.service_failed.invalid_body", ""},
	} {
		typ, exact := newFault(atProvider, tt.code, "", "", nil).EdgeType(tt.native)
		if typ != tt.typ || exact != tt.exact {
			t.Errorf("%s, native %v: %s %s; want %s %s", tt.code, tt.native, typ, exact, tt.typ, tt.exact)
		}
	}
}

// FuzzLegacyType: whatever a peer writes as a type comes out on one line, with as many parts, and a second time unchanged.
func FuzzLegacyType(f *testing.F) {
	for _, s := range []string{"", "client.bad_request", "server..x", "a.__.b", "server.serverproxy.service_failed.io_error", "É_é.ß"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := LegacyType(s)
		if strings.Count(got, ".") != strings.Count(s, ".") {
			t.Errorf("LegacyType(%q) = %q has other parts", s, got)
		}
		if regexp.MustCompile(`(^|\.)[a-z]`).MatchString(got) {
			t.Errorf("LegacyType(%q) = %q has a part that begins with a small letter", s, got)
		}
		if strings.ContainsAny(got, "\r\n") && !strings.ContainsAny(s, "\r\n") {
			t.Errorf("LegacyType(%q) = %q has another line", s, got)
		}
	})
}
