package app

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"truc/internal/exchange"
	"truc/internal/i18n"
	"truc/internal/orgcode"
	"truc/internal/services"
)

// Config is the configuration of one node. The file is TOML; a key that is not listed here refuses to start, and all
// faults are reported at once. Every zero value works or is refused with a sentence that says what to write.
type Config struct {
	// Env is "development" (default) or "production". Production refuses the development sign-in provider, the
	// development document authority and the payment simulator.
	Env string `toml:"env"`
	// Instance, Class and Member name the owner: "VN", "GOV", "H36". Server names this process; default "node1".
	Instance string `toml:"instance"`
	Class    string `toml:"class"`
	Member   string `toml:"member"`
	Server   string `toml:"server"`
	// Name of the member by language: {vi = "…", en = "…"}.
	Name i18n.Text `toml:"name"`
	// Unit is the administrative unit a local authority governs, such as "68"; empty for ministries.
	Unit string `toml:"unit"`
	// DataDir holds keys, logs, the directory copy and, by default, the database. Required.
	DataDir string `toml:"data_dir"`
	// DB is "postgres://…"; default SQLite in DataDir.
	DB string `toml:"db"`
	// Modules to run; default all that are configured. See `truc serve -h`.
	Modules []string `toml:"modules"`

	Web       WebConfig                 `toml:"web"`
	Link      LinkConfig                `toml:"link"`
	Edge      EdgeConfig                `toml:"edge"`
	Keys      KeysConfig                `toml:"keys"`
	Directory DirectoryConfig           `toml:"directory"`
	Exchange  ExchangeConfig            `toml:"exchange"`
	Identity  IdentityConfig            `toml:"identity"`
	IDP       IDPConfig                 `toml:"idp"`
	Registers map[string]RegisterConfig `toml:"registers"`
	Desk      DeskConfig                `toml:"desk"`
	Portal    PortalConfig              `toml:"portal"`
	Sign      SignConfig                `toml:"sign"`
	Evidence  EvidenceConfig            `toml:"evidence"`
	Timestamp TimestampConfig           `toml:"timestamp"`
	Oversight OversightConfig           `toml:"oversight"`
	Telemetry TelemetryConfig           `toml:"telemetry"`
	Documents DocumentsConfig           `toml:"documents"`
	Axis      AxisConfig                `toml:"axis"`
	Backup    BackupConfig              `toml:"backup"`
	Alarms    AlarmsConfig              `toml:"alarms"`

	file    string // where it was read
	joining bool   // a node that is about to join has nothing to show for it yet
}

// WebConfig is the listener for people and programs.
type WebConfig struct {
	// Listen is host:port, such as "127.0.0.1:7100". Required.
	Listen string `toml:"listen"`
	// URL is the address people use, without a slash at the end; default http:// and Listen.
	URL string `toml:"url"`
	// TLSCert and TLSKey are PEM files; without them the node speaks plain HTTP and belongs behind a proxy that
	// speaks TLS. Production requires URL to be https.
	TLSCert string `toml:"tls_cert"`
	TLSKey  string `toml:"tls_key"`
	// TrustedProxies are networks, such as "10.0.0.0/8", whose X-Forwarded-For names the client; default none. Without
	// it every client behind a proxy shares one limit of requests.
	TrustedProxies []string `toml:"trusted_proxies"`
}

// LinkConfig is the listener for other nodes: mutual TLS 1.3, HTTP/2.
type LinkConfig struct {
	// Listen is host:port. Required.
	Listen string `toml:"listen"`
	// URL is the address at which other nodes reach this one; default https:// and Listen.
	URL string `toml:"url"`
}

// DirectoryConfig says how the node belongs to the network.
type DirectoryConfig struct {
	// Center makes this node the center, which keeps the directory.
	Center bool `toml:"center"`
	// TokenFile holds the join token that the center gave; it is used once. A node that joined with truc join needs none.
	TokenFile string `toml:"token_file"`
	// URL is the address of the center where it differs from the one in the token or in the directory document.
	URL string `toml:"url"`
	// Invite lists members that the center creates at its start, each with a join token; others are invited on the
	// page /directory/admin.
	Invite []InviteConfig `toml:"invite"`
}

// InviteConfig is a member that the center invites: it writes a join token to a file, once.
type InviteConfig struct {
	// Member is the agency code, such as "H36".
	Member string `toml:"member"`
	// Name of the member by language.
	Name i18n.Text `toml:"name"`
	// Unit is the administrative unit a local authority governs.
	Unit string `toml:"unit"`
	// Server names the node; default "node1".
	Server string `toml:"server"`
	// TokenFile is where the token is written. It is valid for 72 hours and opens the network to one node: carry it
	// on a safe way. A file that is there already is left alone.
	TokenFile string `toml:"token_file"`
}

// IdentityConfig is how people sign in here.
type IdentityConfig struct {
	// Issuer, ClientID and ClientSecretFile are of the OpenID provider.
	Issuer           string `toml:"issuer"`
	ClientID         string `toml:"client_id"`
	ClientSecretFile string `toml:"client_secret_file"`
	// Kinds of people who sign in here: "citizen", "officer".
	Kinds []string `toml:"kinds"`
	// Officers of this node with their roles.
	Officers []OfficerConfig `toml:"officers"`
}

// OfficerConfig is one officer.
type OfficerConfig struct {
	// Account is the name at the sign-in provider.
	Account string `toml:"account"`
	// Name and Title are printed on slips and results.
	Name  string `toml:"name"`
	Title string `toml:"title"`
	// Agency is the code of the unit the officer works for.
	Agency string `toml:"agency"`
	// Roles: "reception", "officer" and "head" at a desk, "register" for a register's owner, "admin" for everything at the
	// node, or the parts of it that keys of operators have too: "security" keys, evidence and operators, "registration"
	// members and nodes at the center, "service" services and who may call them, "system" running the node, "observer"
	// looking on.
	Roles []string `toml:"roles"`
}

// IDPConfig runs the development sign-in provider at this node under /idp.
type IDPConfig struct {
	// Enabled starts it; production refuses.
	Enabled bool `toml:"enabled"`
	// AccountsFile and ClientsFile are JSON lists.
	AccountsFile string `toml:"accounts_file"`
	ClientsFile  string `toml:"clients_file"`
}

// RegisterConfig makes this node the owner of a register; the key of the table is its id, such as "population".
type RegisterConfig struct {
	// Service is the code of the service that answers queries, such as "population/person".
	Service string `toml:"service"`
	// Seed is "synthetic:10000" in development; empty for none.
	Seed string `toml:"seed"`
	// Name is not used yet; the name of the schema is shown.
	Name i18n.Text
}

// DeskConfig receives dossiers at this node.
type DeskConfig struct {
	// Enabled starts the officers' desk and the service onestop/dossiers.
	Enabled bool `toml:"enabled"`
	// Units receive dossiers; the first is the default. At least one.
	Units []services.Office `toml:"units"`
	// Offers are the codes of the procedures that the units offer, such as "2.000635".
	Offers []string `toml:"offers"`
	// Place is written before dates on letters.
	Place string `toml:"place"`
	// PortalURL is the address of the portal for QR codes; PortalService its notice service.
	PortalURL     string `toml:"portal_url"`
	PortalService string `toml:"portal_service"`
	// Portals are the subsystems that may file and act for applicants, such as "VN/GOV/G22/portal". They need a rule
	// of the exchange as well.
	Portals []string `toml:"portals"`
	// Registers says which service answers for a register: "civilstatus/event" = "VN/GOV/G15/civilstatus/event".
	Registers map[string]string `toml:"registers"`
	// ProceduresDir adds bundles to those in the binary.
	ProceduresDir string `toml:"procedures_dir"`
}

// PortalConfig runs the citizens' portal at this node.
type PortalConfig struct {
	// Enabled starts the portal and the service portal/notices.
	Enabled bool `toml:"enabled"`
	// Registers says which service answers for a register: "population/person" = "VN/GOV/G01/population/person".
	Registers map[string]string `toml:"registers"`
	// Usage lists the registers of the page "who read my data".
	Usage []UsageSourceConfig `toml:"usage"`
	// ProceduresDir adds bundles to those in the binary. Portal and desks need the same versions.
	ProceduresDir string        `toml:"procedures_dir"`
	Payment       PaymentConfig `toml:"payment"`
}

// UsageSourceConfig is a register whose access log citizens may look into.
type UsageSourceConfig struct {
	// Register is its id, such as "population".
	Register string `toml:"register"`
	// Name is shown to citizens.
	Name string `toml:"name"`
	// Service tells the access log, such as "VN/GOV/G01/population/usage".
	Service string `toml:"service"`
}

// PaymentConfig is the payment provider.
type PaymentConfig struct {
	// Name is shown to people who pay.
	Name string `toml:"name"`
	// URL of the provider, to which browsers are sent.
	URL string `toml:"url"`
	// Merchant is the code the provider gave; SecretFile holds the key that signs both ways.
	Merchant   string `toml:"merchant"`
	SecretFile string `toml:"secret_file"`
}

// OversightConfig counts what agencies do; it belongs to the center.
type OversightConfig struct {
	// Enabled starts it; every desk is asked for its facts over the exchange.
	Enabled bool `toml:"enabled"`
	// MinRatings is the least number of ratings for which a score is shown; default 30.
	MinRatings int `toml:"min_ratings"`
}

// LoadConfig reads a file.
func LoadConfig(path string) (*Config, error) { return loadConfig(path, false) }

// LoadConfigToJoin reads the file of a node that is about to join and so needs nothing to show for it yet.
func LoadConfigToJoin(path string) (*Config, error) { return loadConfig(path, true) }

func loadConfig(path string, joining bool) (*Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var c Config
	md, err := toml.Decode(string(b), &c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var faults []error
	for _, k := range md.Undecoded() {
		faults = append(faults, fmt.Errorf("%s: unknown key %q", path, k.String()))
	}
	c.fillDefaults()
	c.joining, c.file = joining, path
	faults = append(faults, c.Check()...)
	return &c, errors.Join(faults...)
}

// joined reports whether the data folder holds a copy of the directory, or is about to.
func (c *Config) joined() bool {
	if c.joining {
		return true
	}
	_, err := os.Stat(filepath.Join(c.DataDir, "directory", "directory.state.json"))
	return err == nil
}

func (c *Config) fillDefaults() {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&c.Env, "development")
	def(&c.Class, "GOV")
	def(&c.Server, "node1")
	def(&c.Exchange.Signatures, "shared")
	def(&c.Web.URL, "http://"+c.Web.Listen)
	def(&c.Link.URL, "https://"+c.Link.Listen)
	if c.DB == "" && c.DataDir != "" {
		c.DB = "sqlite:" + filepath.Join(c.DataDir, "truc.db")
	}
	if len(c.Modules) == 0 {
		for _, m := range modules {
			if m.configured == nil || m.configured(c) {
				c.Modules = append(c.Modules, m.name)
			}
		}
	}
}

// Check returns every fault of the configuration.
func (c *Config) Check() []error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Env != "development" && c.Env != "production" {
		bad("env: %q is neither development nor production", c.Env)
	}
	if s := c.Exchange.Signatures; s != "shared" && s != "message" {
		bad("exchange.signatures: %q is neither shared nor message", s)
	}
	if c.Instance == "" {
		bad("instance: write the name of the network, such as \"VN\"")
	}
	if !orgcode.Valid(c.Member) {
		bad("member: %q is no agency code", c.Member)
	}
	if c.DataDir == "" {
		bad("data_dir: write the folder that holds keys and logs")
	}
	for name, addr := range map[string]string{"web.listen": c.Web.Listen, "link.listen": c.Link.Listen} {
		if !strings.Contains(addr, ":") {
			bad("%s: write host:port", name)
		}
	}
	for name, raw := range map[string]string{"web.url": c.Web.URL, "link.url": c.Link.URL} {
		if u, err := url.Parse(raw); err != nil || u.Host == "" || strings.HasSuffix(raw, "/") {
			bad("%s: %q is no address without a slash at the end", name, raw)
		}
	}
	faults = append(faults, c.Edge.check(c)...)
	if _, err := c.proxies(); err != nil {
		bad("web.trusted_proxies: %w", err)
	}
	if (c.Web.TLSCert == "") != (c.Web.TLSKey == "") {
		bad("web.tls_cert and web.tls_key: give both or none")
	}
	if !c.Directory.Center && c.Directory.TokenFile == "" && !c.joined() {
		bad("directory.token_file: this node has not joined the network: run truc join, or name the file with the join token that the center gave")
	}
	for _, m := range c.Modules {
		if !slices.ContainsFunc(modules, func(r module) bool { return r.name == m }) {
			bad("modules: there is no module %q", m)
		}
	}
	for _, d := range c.Desk.Offers {
		if d == "" {
			bad("desk.offers: empty code")
		}
	}
	if c.Desk.Enabled && len(c.Desk.Units) == 0 {
		bad("desk.units: name at least one unit that receives dossiers")
	}
	for _, o := range c.Exchange.Operators {
		if o.File == "" {
			bad("exchange.operators.file: write the file that receives the key")
		}
		if len(o.Roles) == 0 || slices.ContainsFunc(o.Roles, func(r string) bool { return !slices.Contains(exchange.OperatorRoles, r) }) {
			bad("exchange.operators.roles: %q is no list of %v", o.Roles, exchange.OperatorRoles)
		}
	}
	for _, in := range c.Exchange.Inboxes {
		if err := in.check(); err != nil {
			bad("exchange.inboxes: %v", err)
		}
	}
	if err := exchange.CheckLimits(c.Exchange.Limits); err != nil {
		bad("exchange.limits: %w", err)
	}
	if u, err := url.Parse(c.Exchange.DecisionURL); c.Exchange.DecisionURL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		bad("exchange.decision_url: %q is no address such as http://127.0.0.1:8181/v1/data/truc/allow", c.Exchange.DecisionURL)
	}
	if ms := c.Exchange.DecisionMillis; ms < 0 || ms > 5000 {
		bad("exchange.decision_millis: %d is not between 0 and 5000", ms)
	}
	faults = append(faults, c.checkEvidence()...)
	faults = append(faults, c.Backup.check()...)
	faults = append(faults, c.Alarms.check()...)
	faults = append(faults, c.checkSign()...)
	faults = append(faults, c.checkKeys()...)
	faults = append(faults, c.Telemetry.check()...)
	faults = append(faults, c.checkAgreements()...)
	faults = append(faults, c.checkDocuments()...)
	if c.Env == "production" {
		faults = append(faults, c.checkProduction()...)
	}
	return faults
}

func (c *Config) checkProduction() []error {
	var faults []error
	if c.IDP.Enabled {
		faults = append(faults, errors.New("idp.enabled: the development sign-in provider does not run in production"))
	}
	if c.Sign.Development {
		faults = append(faults, errors.New("sign.development: the development authority does not sign in production"))
	}
	if u, err := url.Parse(c.Portal.Payment.URL); c.Portal.Enabled && (err != nil || u.Scheme != "https" || u.Hostname() == "localhost" || strings.HasPrefix(u.Hostname(), "127.")) {
		faults = append(faults, errors.New("portal.payment.url: the payment simulator, or a provider without https, takes no money in production"))
	}
	if c.Axis.Enabled && c.Web.TLSCert == "" && c.Axis.TLSCert == "" && !c.Axis.BehindTLS {
		faults = append(faults, errors.New("axis.behind_tls: VXP clients sign with a shared secret and must come by TLS: give axis.tls_listen with its certificate, or web.tls_cert and web.tls_key, or say that a proxy does it"))
	}
	if !strings.HasPrefix(c.Web.URL, "https://") {
		faults = append(faults, errors.New("web.url: people must reach a node in production by https"))
	}
	for id, r := range c.Registers {
		if r.Seed != "" {
			faults = append(faults, fmt.Errorf("registers.%s.seed: synthetic people do not belong into production", id))
		}
	}
	return faults
}

func (c *Config) proxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range c.Web.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// MemberID returns "VN/GOV/H36".
func (c *Config) MemberID() string { return c.Instance + "/" + c.Class + "/" + c.Member }

// ServerID returns "VN/GOV/H36/node1".
func (c *Config) ServerID() string { return c.MemberID() + "/" + c.Server }

// Subsystem returns "VN/GOV/H36/onestop" for "onestop".
func (c *Config) Subsystem(code string) orgcode.Subsystem {
	return orgcode.Subsystem{Instance: c.Instance, Class: c.Class, Member: c.Member, Code: code}
}
