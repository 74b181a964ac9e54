package app

import "truc/internal/i18n"

// PublishConfig publishes a service of one of the agency's own systems. The configuration is the truth: what is changed
// here is changed at the next start, what is taken out is no longer offered.
type PublishConfig struct {
	// Code is the subsystem and the service, such as "weather/stations".
	Code string `toml:"code"`
	// File is the OpenAPI 3.0 or 3.1 document, JSON or YAML.
	File string `toml:"file"`
	// Backend is the system's address, to which the service path is appended, such as "https://weather.internal/api".
	Backend string `toml:"backend"`
	// Name and About by language; the name is by default the code.
	Name  i18n.Text `toml:"name"`
	About i18n.Text `toml:"about"`
	// Personal services demand a purpose with each call. Public ones stand in the catalogue open to all.
	Personal bool `toml:"personal"`
	Public   bool `toml:"public"`
	// Bodies says what the log keeps of bodies: "full", "digest" (default) or "off".
	Bodies string `toml:"bodies"`
	// Verify says when the system sees a request larger than 256 KiB: "stream" (default) while it arrives, so that the system
	// must bear a request that breaks off, or "before_forward" when it was received whole and verified.
	Verify string `toml:"verify"`
	// AsyncOnly services take messages alone (Prefer: respond-async, or /a1/); a call that waits for its answer is refused.
	AsyncOnly bool `toml:"async_only"`
	// TimeoutSeconds bounds a call of the system, 1 to 300; default 30.
	TimeoutSeconds int `toml:"timeout_seconds"`
	// CAFile is a PEM file of the authorities that may sign the system's certificate, or of that very certificate;
	// default the authorities of the operating system.
	CAFile string `toml:"ca_file"`
	// ServerName replaces the host of Backend in the check of the certificate.
	ServerName string `toml:"server_name"`
	// ClientCertificate shows the certificate backend.pem of the data directory to the system; it is made when needed.
	ClientCertificate bool `toml:"client_certificate"`
	// PlainHTTP allows http, to this machine and private networks only. What passes can be read on the way.
	PlainHTTP bool `toml:"plain_http"`
}
