package demo

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"truc/internal/reqctx"
)

// Description is demo.json: what a program needs to work with the demonstration.
type Description struct {
	Center struct {
		URL string `json:"url"`
	} `json:"center"`
	Nodes    []NodeDescription `json:"nodes"`
	Accounts struct {
		Citizens []CitizenAccount `json:"citizens"`
		Officers []OfficerAccount `json:"officers"`
	} `json:"accounts"`
	APIKeys  []APIKeyDescription `json:"apiKeys"`
	Services []string            `json:"services"`
	Payment  struct {
		URL string `json:"url"`
	} `json:"payment"`
	// Published are systems of agencies that know nothing of the exchange, published from their OpenAPI files.
	Published []PublishedDescription `json:"published"`
	// VXP is the document axis for systems that are no nodes.
	VXP VXPDescription `json:"vxp"`
}

// PublishedDescription is a published system.
type PublishedDescription struct {
	Service string `json:"service"`
	// Backend is where it stands, CA the authority that signed its certificate, OpenAPI its file.
	Backend string `json:"backend"`
	CA      string `json:"ca"`
	OpenAPI string `json:"openapi"`
}

// NodeDescription is a node.
type NodeDescription struct {
	ID     string `json:"id"`
	Member string `json:"member"`
	Name   string `json:"name"`
	URL    string `json:"url"`
	Link   string `json:"link"`
	Log    string `json:"log"`
}

// CitizenAccount signs in at the portal; ID is the account's identifier at the sign-in provider.
type CitizenAccount struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	PersonalID string `json:"personalId"`
	BirthDate  string `json:"birthDate"`
	About      string `json:"about"`
}

// OfficerAccount signs in at its node.
type OfficerAccount struct {
	ID      string   `json:"id"`
	Account string   `json:"account"`
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Node    string   `json:"node"`
	Roles   []string `json:"roles"`
}

// APIKeyDescription lets a program of an agency call services through its node's edge, under /r1/.
type APIKeyDescription struct {
	Client string `json:"client"`
	Node   string `json:"node"`
	Key    string `json:"key"`
}

// Describe collects the description.
func (n *Network) Describe() (*Description, error) {
	d := &Description{}
	d.Center.URL, d.Payment.URL = n.l.center().webURL(), n.l.bankURL()
	for _, a := range n.l.agencies {
		d.Nodes = append(d.Nodes, NodeDescription{ID: a.id(), Member: a.code, Name: a.name.In("vi"), URL: a.webURL(), Link: a.linkURL(), Log: filepath.Join(n.l.dir(a), "node.log")})
		c := n.l.config(a)
		for _, k := range c.Exchange.Keys {
			b, err := os.ReadFile(k.File)
			if err != nil {
				return nil, err
			}
			d.APIKeys = append(d.APIKeys, APIKeyDescription{Client: k.Subsystem, Node: a.webURL(), Key: strings.TrimSpace(string(b))})
		}
		switch a.kind {
		case "province":
			d.Services = append(d.Services, subsystem(a.code, "onestop/dossiers"), subsystem(a.code, "onestop/facts"))
		case "center":
			d.Services = append(d.Services, subsystem(a.code, "portal/notices"), subsystem(a.code, "axis/messages"))
		}
	}
	for _, s := range registerServices {
		d.Services = append(d.Services, s)
	}
	d.Services = append(d.Services, subsystem(population, "population/usage"), subsystem(civil, "civilstatus/usage"), subsystem(civil, notaryService))
	d.Published = []PublishedDescription{{subsystem(civil, notaryService), n.l.notaryURL(), n.l.notaryFile("ca/root.pem"), n.l.notaryFile("openapi.yaml")}}
	var err error
	if d.VXP, err = n.l.describeVXP(); err != nil {
		return nil, err
	}
	about := map[string]string{}
	for _, s := range n.l.stories {
		about[s.PersonalID] = s.About.In("vi")
	}
	for _, acc := range n.l.accounts {
		if acc.Kind == reqctx.Citizen {
			d.Accounts.Citizens = append(d.Accounts.Citizens, CitizenAccount{ID: acc.ID, Name: acc.FullName, PersonalID: acc.PersonalID, BirthDate: acc.Birthdate, About: about[acc.PersonalID]})
			continue
		}
		o := OfficerAccount{ID: acc.ID, Account: acc.Account, Name: acc.FullName, Title: acc.Note, Roles: acc.Roles}
		for _, a := range n.l.agencies {
			if a.code == acc.Agency && a.server != "node2" {
				o.Node = a.webURL()
			}
		}
		d.Accounts.Officers = append(d.Accounts.Officers, o)
	}
	return d, nil
}

func (n *Network) writeJSON() error {
	d, err := n.Describe()
	if err != nil {
		return err
	}
	return writeJSON(filepath.Join(n.l.opt.Dir, "demo.json"), d)
}

// Print says what runs and what to try.
func (n *Network) Print(w io.Writer) {
	time.Sleep(1500 * time.Millisecond) // nodes give back what starting needed a second after they serve
	mem := n.memory()
	fmt.Fprintf(w, "\nTruc runs: %d nodes, started in %.1f s. Everything is invented: people, numbers, signatures (\"TEST\").\n\n", len(n.l.agencies), n.Took.Seconds())
	var rss, pss int64
	for i, a := range n.l.agencies {
		m := mem[a.id()]
		rss += m.rss
		pss += m.pss
		if i < 8 {
			fmt.Fprintf(w, "  %-8s %-28s %s   memory %d MB (resident %d MB)\n", a.id(), a.name.In("vi"), a.webURL(), m.pss>>20, m.rss>>20)
		} else if i == 8 {
			fmt.Fprintf(w, "  … and %d more, listed in demo.json\n", len(n.l.agencies)-8)
		}
	}
	fmt.Fprintf(w, "  %-8s %-28s %s\n", "", "payment simulator", n.l.bankURL())
	fmt.Fprintf(w, "  all nodes: %d MB. Memory counts what nodes share, such as the program itself, once; resident (%d MB in all) counts it for each.\n", pss>>20, rss>>20)
	c, m, h := n.l.center().webURL(), n.l.agencies[2].webURL(), n.l.agencies[3].webURL()
	fmt.Fprintf(w, `
What to try
  1. As a citizen: %s  → type "trich luc", choose "Cấp bản sao trích lục hộ tịch", office Lâm Đồng, [Bắt đầu].
     Sign in as Nguyễn Thị Thu Hà (no password: this is a test provider). Answer, check, submit, pay.
  2. As officers of Lâm Đồng: %s  → sign in as h36.tiepnhan (receives), h36.hotich (checks the civil-status
     register, proposes), h36.lanhdao (signs). Sign out between them, or use private windows.
  3. Back at the portal: follow the timeline, download the signed PDF, rate the service.
  4. Who read my data: %s/my-data → take a receipt and check it offline:  truc verify receipt.zip
  5. Oversight: %s/oversight → every number opens its list.
  6. Network: sign in at %s as g22.quantri → %s/directory/admin and %s/exchange/admin
  7. A system of its own: sign in at %s as g15.quantri → %s/exchange/admin/published
  8. Official documents: %s/documents as h36.hotich (drafts), h36.lanhdao (signs), h36.vanthu (seals, sends, receives);
     the other side is Huế (h57.vanthu) or the Ministry of Justice (g15.vanthu). The axis: %s/axis as g22.quantri
  9. Any VXP client: base URL, systems and secrets are in demo.json under "vxp". Receipts:  truc verify receipt.json

`, c, h, c, c, c, c, c, m, m, h, c)
	fmt.Fprintf(w, "For programs: %s\nCtrl-C stops everything; the next start continues where this one ended.\n", filepath.Join(n.l.opt.Dir, "demo.json"))
}
