package demo

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"truc/internal/app"
	"truc/internal/exchange"
	"truc/internal/i18n"
	"truc/internal/identity/devidp"
	"truc/internal/registers/synthetic"
	"truc/internal/reqctx"
	"truc/internal/services"
)

// Options choose what the demonstration looks like.
type Options struct {
	// Dir holds everything; state survives there from run to run.
	Dir string
	// Nodes is 5, 57 or 86.
	Nodes int
	// BasePort is the web port of the center; the others follow.
	BasePort int
	// DB is "postgres://…" of a server where databases may be made; empty is SQLite.
	DB string
	// DBPrefix begins the names of those databases; default "truc_demo_".
	DBPrefix string
	// People is the size of the invented population; default 10,000.
	People int
}

const merchantCode = "TRUCDEMO"

// layout writes the configuration of every node and returns the nodes.
type layout struct {
	opt      Options
	agencies []agency
	bankPort int
	accounts []devidp.Account
	stories  []synthetic.Story
}

func newLayout(opt Options) (*layout, error) {
	list, err := country(opt.Nodes, opt.BasePort)
	if err != nil {
		return nil, err
	}
	l := &layout{opt: opt, agencies: list, bankPort: opt.BasePort + 90}
	if len(list) > 5 {
		l.bankPort = opt.BasePort + 10*len(list)
	}
	people, err := synthetic.Generate(app.SyntheticSeed, 100, app.SyntheticDay()) // the stories come first, whatever the size
	if err != nil {
		return nil, err
	}
	l.stories = synthetic.Stories(people)
	l.accounts = l.makeAccounts()
	return l, nil
}

func (l *layout) dir(a agency) string        { return filepath.Join(l.opt.Dir, a.id()) }
func (l *layout) configPath(a agency) string { return filepath.Join(l.dir(a), "truc.toml") }
func (l *layout) center() agency             { return l.agencies[0] }
func (l *layout) bankURL() string            { return fmt.Sprintf("http://127.0.0.1:%d", l.bankPort) }

func (l *layout) secretPath(name string) string {
	return filepath.Join(l.opt.Dir, "secrets", name)
}

// officers of a node: fixed names where the story needs them.
func officers(a agency) []app.OfficerConfig {
	low := strings.ToLower(a.code)
	switch a.kind {
	case "province":
		names := map[string][3]string{
			lamDong: {"Phạm Thị Thanh Hà", "Trần Văn Khoa", "Cil Múp Hoàng Nam"},
			hue:     {"Lê Thị Diệu Linh", "Hồ Đắc Minh", "Tôn Nữ Quỳnh Chi"},
		}
		n, ok := names[a.code]
		if !ok {
			n = [3]string{"Nguyễn Thị Một Cửa", "Trần Văn Chuyên Viên", "Lê Thị Lãnh Đạo"}
		}
		list := []app.OfficerConfig{
			{Account: low + ".tiepnhan", Name: n[0], Title: "Cán bộ một cửa", Agency: a.code, Roles: []string{"reception"}},
			{Account: low + ".hotich", Name: n[1], Title: "Công chức tư pháp - hộ tịch", Agency: a.code, Roles: []string{"officer"}},
			{Account: low + ".lanhdao", Name: n[2], Title: "Phó Giám đốc", Agency: a.code, Roles: []string{"head"}},
			{Account: low + ".vanthu", Name: clerks[a.code], Title: "Văn thư", Agency: a.code, Roles: []string{"clerk"}},
			{Account: low + ".quantri", Name: "Quản trị " + a.code, Title: "Quản trị hệ thống", Agency: a.code, Roles: []string{"admin"}},
		}
		if !a.keepsDocuments() {
			list = slices.DeleteFunc(list, func(o app.OfficerConfig) bool { return slices.Contains(o.Roles, "clerk") })
		}
		return list
	default:
		return append([]app.OfficerConfig{{Account: low + ".quantri", Name: "Quản trị " + a.code, Title: "Quản trị hệ thống", Agency: a.code, Roles: []string{"admin", "register"}}}, documentOfficers(a)...)
	}
}

func (l *layout) makeAccounts() []devidp.Account {
	var out []devidp.Account
	for _, s := range l.stories {
		if s.Level == 0 {
			continue
		}
		out = append(out, devidp.Account{
			ID: "c-" + s.ID, Kind: reqctx.Citizen, FullName: s.Name, Note: s.About.In("vi"), PersonalID: s.PersonalID, Birthdate: s.BirthDate, Gender: s.Sex, Level: s.Level,
		})
	}
	for i, a := range l.agencies {
		if i >= 5 && l.opt.Nodes > 5 { // the many others are there to be counted, not to be visited
			break
		}
		for _, o := range officers(a) {
			out = append(out, devidp.Account{
				ID: "o-" + o.Account, Kind: reqctx.Officer, FullName: o.Name, Note: o.Title, Account: o.Account, Agency: a.code, AgencyName: a.name.In("vi"), Roles: o.Roles,
			})
		}
	}
	return out
}

// samePorts refuses a folder whose network lives on other ports: its signed directory names those addresses, so the nodes
// would wait for each other in vain.
func (l *layout) samePorts() error {
	center := l.center()
	old, err := app.LoadConfig(l.configPath(center))
	if err != nil {
		return nil //nolint:nilerr // nothing that can be read lies there: a new network
	}
	if want := fmt.Sprintf("127.0.0.1:%d", center.web); old.Web.Listen != want {
		return fmt.Errorf("the network in %s was made with its center at %s, not at %s: start it with the same -ports-from as then, or give another -dir", l.opt.Dir, old.Web.Listen, want)
	}
	return nil
}

// write puts configuration and secrets on disk. What is there already stays, so that state survives.
func (l *layout) write() error {
	if err := os.MkdirAll(filepath.Join(l.opt.Dir, "secrets"), 0o700); err != nil {
		return err
	}
	clients := make([]devidp.Client, 0, len(l.agencies))
	for _, a := range l.agencies {
		secret, err := l.secret("oidc-" + a.id())
		if err != nil {
			return err
		}
		clients = append(clients, devidp.Client{
			ID: "truc-" + strings.ToLower(a.id()), Secret: secret, Name: a.name.In("vi"), RedirectURLs: []string{a.webURL() + "/login/callback"},
			LogoutURLs: []string{a.webURL() + "/", a.webURL() + "/login/ended"},
		})
	}
	if _, err := l.secret("payment"); err != nil {
		return err
	}
	if _, err := l.describeVXP(); err != nil {
		return err
	}
	if err := writeJSON(l.secretPath("clients.json"), clients); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(l.opt.Dir, "accounts.json"), l.accounts); err != nil {
		return err
	}
	if err := l.writeTerms(); err != nil {
		return err
	}
	for _, a := range l.agencies {
		if err := l.writeConfig(a); err != nil {
			return err
		}
	}
	return nil
}

func (l *layout) secret(name string) (string, error) {
	path := l.secretPath(name)
	b, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	s := hex.EncodeToString(raw)
	return s, os.WriteFile(path, []byte(s+"\n"), 0o600)
}

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func (l *layout) writeConfig(a agency) error {
	if err := os.MkdirAll(l.dir(a), 0o700); err != nil {
		return err
	}
	c := l.config(a)
	f, err := os.OpenFile(l.configPath(a), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(f, "# Written by truc demo; changes are overwritten at the next start.\n"); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(toml.NewEncoder(f).Encode(c), f.Close())
}

func subsystem(code, name string) string { return "VN/GOV/" + code + "/" + name }

func (l *layout) config(a agency) app.Config {
	c := app.Config{
		Env: "development", Instance: "VN", Class: "GOV", Member: a.code, Server: a.server, Name: a.name, Unit: a.unit, DataDir: filepath.Join(l.dir(a), "data"),
		Web: app.WebConfig{Listen: fmt.Sprintf("127.0.0.1:%d", a.web)}, Link: app.LinkConfig{Listen: fmt.Sprintf("127.0.0.1:%d", a.link)},
		Identity: app.IdentityConfig{
			Issuer: l.center().webURL() + "/idp", ClientID: "truc-" + strings.ToLower(a.id()), ClientSecretFile: l.secretPath("oidc-" + a.id()),
			Kinds: []string{"officer"}, Officers: officers(a),
		},
	}
	if l.opt.DB != "" {
		c.DB = l.opt.databaseOf(a.id())
	}
	c.Sign.Authority = filepath.Join(l.opt.Dir, "sign-authority") // all nodes trust each other's documents
	c.Directory.TokenFile = l.tokenPath(a)
	c.Exchange.Agreements, c.Exchange.CenterMember = "required", "VN/GOV/"+l.center().code
	for _, t := range l.terms() {
		if t.concerns(a) {
			c.Exchange.Terms = append(c.Exchange.Terms, l.termsPath(t))
		}
	}
	switch {
	case a.kind == "center":
		l.configCenter(&c, a)
	case a.kind == "province":
		l.configProvince(&c, a)
	case a.code == population:
		l.configRegister(&c, "population", "population/person")
	case a.code == civil:
		l.configRegister(&c, "civilstatus", "civilstatus/event")
		l.configNotary(&c)
	}
	l.configDocuments(&c, a)
	return c
}

func (l *layout) tokenPath(a agency) string {
	return filepath.Join(l.opt.Dir, "tokens", a.id()+".token")
}

var registerServices = map[string]string{
	"population/person": subsystem(population, "population/person"),
	"civilstatus/event": subsystem(civil, "civilstatus/event"),
}

func (l *layout) configCenter(c *app.Config, a agency) {
	c.Directory = app.DirectoryConfig{Center: true}
	for _, other := range l.agencies[1:] {
		c.Directory.Invite = append(c.Directory.Invite, app.InviteConfig{
			Member: other.code, Name: other.name, Unit: other.unit, Server: other.server, TokenFile: l.tokenPath(other),
		})
	}
	c.Identity.Kinds = []string{"citizen", "officer"}
	c.IDP = app.IDPConfig{Enabled: true, AccountsFile: filepath.Join(l.opt.Dir, "accounts.json"), ClientsFile: l.secretPath("clients.json")}
	c.Portal = app.PortalConfig{
		Enabled: true, Registers: registerServices,
		Usage: []app.UsageSourceConfig{
			{Register: "population", Name: "Cơ sở dữ liệu quốc gia về dân cư – Bộ Công an", Service: subsystem(population, "population/usage")},
			{Register: "civilstatus", Name: "Cơ sở dữ liệu hộ tịch – Bộ Tư pháp", Service: subsystem(civil, "civilstatus/usage")},
		},
		Payment: app.PaymentConfig{Name: "Cổng thanh toán thử nghiệm", URL: l.bankURL(), Merchant: merchantCode, SecretFile: l.secretPath("payment")},
	}
	c.Oversight = app.OversightConfig{Enabled: true, MinRatings: 1}
	c.Exchange.Keys = []app.EdgeKeyConfig{{Subsystem: subsystem(a.code, "portal"), Label: "demo", File: l.secretPath("api-" + a.code)}}
	for _, p := range l.provinces() {
		c.Exchange.Rules = append(c.Exchange.Rules, exchange.Rule{
			Consumer: subsystem(p.code, "onestop"), Service: "portal/notices", Methods: []string{"POST"}, Activities: []string{"dossier-status"},
			Basis: "Điều 15.1.g Nghị định 224/2026/NĐ-CP",
		})
	}
}

func (l *layout) provinces() []agency {
	return slices.DeleteFunc(slices.Clone(l.agencies), func(a agency) bool { return a.kind != "province" })
}

func (l *layout) configProvince(c *app.Config, a agency) {
	name := strings.TrimPrefix(strings.TrimPrefix(a.name.In("vi"), "UBND "), "Thành phố ")
	place := map[string]string{lamDong: "Đà Lạt", hue: "Huế"}[a.code]
	if place == "" {
		place = name
	}
	center := l.center()
	c.Desk = app.DeskConfig{
		Enabled: true, Offers: []string{"2.000635", "1.001193"}, Place: place,
		Units:     []services.Office{{Code: a.code + ".14", Name: "Trung tâm Phục vụ hành chính công " + name, Province: a.unit}},
		PortalURL: center.webURL(), PortalService: subsystem(center.code, "portal/notices"), Portals: []string{subsystem(center.code, "portal")},
		Registers: registerServices,
	}
	c.Sign.Development = true
	portal, oversight := subsystem(center.code, "portal"), subsystem(center.code, "oversight")
	c.Exchange.Rules = []exchange.Rule{
		{Consumer: portal, Service: "onestop/dossiers", Activities: []string{"submission", "catalogue"}, Basis: "Điều 15 Nghị định 224/2026/NĐ-CP"},
		{Consumer: oversight, Service: "onestop/dossiers", Methods: []string{"GET"}, Path: "/catalogue", Basis: "Điều 19 Nghị định 224/2026/NĐ-CP"},
		{Consumer: oversight, Service: "onestop/facts", Methods: []string{"GET", "POST", "DELETE"}, Basis: "Điều 19 Nghị định 224/2026/NĐ-CP"},
	}
	c.Exchange.Keys = []app.EdgeKeyConfig{{Subsystem: subsystem(a.code, "onestop"), Label: "demo", File: l.secretPath("api-" + a.code)}}
}

func (l *layout) configRegister(c *app.Config, id, service string) {
	people := l.opt.People
	if people == 0 {
		people = 10_000
	}
	c.Registers = map[string]app.RegisterConfig{id: {Service: service, Seed: fmt.Sprintf("synthetic:%d", people)}}
	code, _, _ := strings.Cut(service, "/")
	portal := subsystem(l.center().code, "portal")
	c.Exchange.Rules = []exchange.Rule{
		{Consumer: portal, Service: service, Methods: []string{"POST"}, Activities: []string{"prefill"}, Basis: services.BasisPrefill},
		{Consumer: portal, Service: code + "/usage", Activities: []string{"usage-self"}, Basis: "Điều 4 Luật Bảo vệ dữ liệu cá nhân 91/2025/QH15"},
	}
	for _, p := range l.provinces() {
		c.Exchange.Rules = append(c.Exchange.Rules, exchange.Rule{
			Consumer: subsystem(p.code, "onestop"), Service: service, Methods: []string{"POST"}, Activities: []string{"verify-dossier"}, Basis: services.BasisPrefill,
		})
	}
	c.Exchange.Keys = []app.EdgeKeyConfig{{Subsystem: subsystem(c.Member, code), Label: "demo", File: l.secretPath("api-" + c.Member)}}
}

// databaseOf names a database of its own for every node on one server.
func (o Options) databaseOf(id string) string {
	base, name := o.DB, orDefault(o.DBPrefix, "truc_demo_")+strings.ToLower(strings.ReplaceAll(id, "-", "_"))
	head, query, _ := strings.Cut(base, "?")
	i := strings.Index(head, "://")
	if j := strings.IndexByte(head[i+3:], '/'); j >= 0 {
		head = head[:i+3+j]
	}
	out := head + "/" + name
	if query != "" {
		out += "?" + query
	}
	return out
}

var _ = i18n.Zone
