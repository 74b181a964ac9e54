package app

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"truc/internal/alarm"
	"truc/internal/alarm/alarmclient"
	"truc/internal/exchange/delivery"
	"truc/internal/i18n"
)

// AlarmsConfig tells people elsewhere what the diagnostics page shows: that something begins to be wrong, goes on, and is
// well again. Without mail and webhook nothing leaves the node.
type AlarmsConfig struct {
	// Lang is the language of the texts, "vi" (default) or "en".
	Lang string `toml:"lang"`
	// SteadyMinutes is how long something must be wrong, or well again, before it is told; default 3.
	SteadyMinutes int `toml:"steady_minutes"`
	// PauseMinutes is the least time between two messages; what happens in between comes in one. Default 15.
	PauseMinutes int `toml:"pause_minutes"`
	// RepeatHours is how often what goes on is told again; default 24, -1 never.
	RepeatHours int `toml:"repeat_hours"`

	Mail    MailConfig         `toml:"mail"`
	Webhook AlarmWebhookConfig `toml:"webhook"`
}

// MailConfig sends alarms by mail.
type MailConfig struct {
	// Server is host:port, such as "mail.tinh.example.vn:587". Empty: no mail.
	Server string `toml:"server"`
	// Security is "starttls" (default), "tls" from the first byte, or "none" for a server on this machine. With starttls a
	// server that does not offer it gets nothing.
	Security string `toml:"security"`
	// CAFile is a PEM file with the authorities of the server's certificate; default those of the system.
	CAFile string `toml:"ca_file"`
	// User and PasswordFile sign in to the server; empty: without.
	User         string `toml:"user"`
	PasswordFile string `toml:"password_file"`
	// From is the sender's address, To those who receive the mails.
	From string   `toml:"from"`
	To   []string `toml:"to"`
}

// AlarmWebhookConfig posts alarms as JSON, signed with the key that signs messages (RFC 9421, tag truc-webhook).
type AlarmWebhookConfig struct {
	// URL is https, or http on this machine. Empty: no webhook.
	URL string `toml:"url"`
}

func (a AlarmsConfig) lang() string {
	if a.Lang == "" {
		return "vi"
	}
	return a.Lang
}

func (a AlarmsConfig) timing() alarm.Timing {
	return alarm.Timing{
		Steady: time.Duration(orInt(a.SteadyMinutes, 3)) * time.Minute, Pause: time.Duration(orInt(a.PauseMinutes, 15)) * time.Minute,
		Repeat: time.Duration(max(0, orInt(a.RepeatHours, 24))) * time.Hour,
	}
}

func (a AlarmsConfig) check() (faults []error) {
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !slices.Contains(i18n.Langs, a.lang()) {
		bad("alarms.lang: %q is none of %v", a.Lang, i18n.Langs)
	}
	if a.SteadyMinutes < 0 || a.PauseMinutes < 0 || a.RepeatHours < -1 {
		bad("alarms: a number is negative")
	}
	if a.Webhook.URL != "" {
		if err := delivery.CheckWebhook(a.Webhook.URL); err != nil {
			bad("alarms.webhook.url: %w", err)
		}
	}
	m := a.Mail
	if m.Server == "" {
		return faults
	}
	host, port, err := net.SplitHostPort(m.Server)
	if err != nil || host == "" || port == "" {
		bad("alarms.mail.server: %q is no host:port", m.Server)
	}
	switch ip := net.ParseIP(host); m.Security {
	case "", alarmclient.StartTLS, alarmclient.TLS:
	case alarmclient.NoTLS:
		if host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			bad("alarms.mail.security: none is for a server on this machine; %s is elsewhere", host)
		}
	default:
		bad("alarms.mail.security: %q is none of starttls, tls, none", m.Security)
	}
	if (m.User == "") != (m.PasswordFile == "") {
		bad("alarms.mail: give both user and password_file, or none")
	}
	if err := alarmclient.CheckAddress(m.From); err != nil {
		bad("alarms.mail.from: %w", err)
	}
	if len(m.To) == 0 || len(m.To) > 50 {
		bad("alarms.mail.to: name 1 to 50 who receive the mails")
	}
	for _, to := range m.To {
		if err := alarmclient.CheckAddress(to); err != nil {
			bad("alarms.mail.to: %w", err)
		}
	}
	return faults
}

// alarmChannels are the ways out that the configuration names.
func (n *Node) alarmChannels() (map[string]alarm.Channel, error) {
	a := n.cfg.Alarms
	words := alarmclient.Words{Catalogue: n.messages, Lang: a.lang(), URL: n.cfg.Web.URL + "/exchange/admin/diagnostics"}
	out := map[string]alarm.Channel{}
	if a.Mail.Server != "" {
		password, err := readSecret(a.Mail.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("alarms.mail.password_file: %w", err)
		}
		m := &alarmclient.Mail{Server: a.Mail.Server, Security: a.Mail.Security, User: a.Mail.User, Password: password, From: a.Mail.From, To: a.Mail.To, Words: words, Now: n.now}
		if m.Security == "" {
			m.Security = alarmclient.StartTLS
		}
		if a.Mail.CAFile != "" {
			pem, err := os.ReadFile(a.Mail.CAFile)
			if err != nil {
				return nil, fmt.Errorf("alarms.mail.ca_file: %w", err)
			}
			if m.Roots = x509.NewCertPool(); !m.Roots.AppendCertsFromPEM(pem) {
				return nil, errors.New("alarms.mail.ca_file: it holds no certificate")
			}
		}
		out["mail"] = m
	}
	if a.Webhook.URL != "" {
		out["webhook"] = &alarmclient.Webhook{URL: a.Webhook.URL, Words: words, Client: &http.Client{
			Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}, Sign: func(r *http.Request, body []byte) error {
			return delivery.SignWebhook(n.currentKeys().Signing, n.now(), r, body)
		}}
	}
	return out, nil
}

// alarmError is what an operator is told of a channel that failed: one line, without what a server might add.
func alarmError(err error) string {
	text := strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, err.Error())
	return text[:min(len(text), 300)]
}
