package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"sort"
	"strings"
	"time"

	"truc/internal/calendar"
	"truc/internal/exchange"
	"truc/internal/identity"
	"truc/internal/orgcode"
	"truc/internal/outbox"
	"truc/internal/services"
	"truc/internal/services/servicesapi"
	"truc/internal/services/servicesdesk"
	"truc/internal/services/servicespage"
	"truc/internal/services/servicespay"
	"truc/internal/services/servicesstore"
	"truc/internal/web"
	"truc/procedures"
)

func (n *Node) startServices(ctx context.Context) error {
	if err := n.migrate(ctx, "services", servicesstore.Migrations, "migrations"); err != nil {
		return err
	}
	store := &servicesstore.Store{DB: n.db, Now: n.now, Wake: n.relay.Wake}
	n.libraries = &services.Library{Store: store, Now: n.now}
	if err := n.libraries.Load(ctx); err != nil {
		return err
	}
	if err := n.publishProcedures(ctx); err != nil {
		return err
	}
	if n.cfg.Desk.Enabled {
		if err := n.startDesk(ctx, store); err != nil {
			return err
		}
	}
	if n.cfg.Portal.Enabled {
		return n.startPortal(store)
	}
	return nil
}

// publishProcedures publishes the bundles in the binary and those of the configured folder. A bundle that has faults is
// refused, with file and line, and the node does not start: a wrong time limit is worse than a late start.
func (n *Node) publishProcedures(ctx context.Context) error {
	sources := []fs.FS{procedures.FS}
	for _, dir := range []string{n.cfg.Desk.ProceduresDir, n.cfg.Portal.ProceduresDir} {
		if dir != "" {
			sources = append(sources, os.DirFS(dir))
		}
	}
	for _, src := range sources {
		dirs, err := fs.ReadDir(src, ".")
		if err != nil {
			return err
		}
		for _, d := range dirs {
			if !d.IsDir() {
				continue
			}
			sub, err := fs.Sub(src, d.Name())
			if err != nil {
				return err
			}
			if _, err := fs.Stat(sub, "procedure.yaml"); err != nil {
				continue
			}
			_, problems, err := n.libraries.Publish(ctx, sub, "system")
			if err != nil {
				return err
			}
			if !problems.OK() {
				return fmt.Errorf("procedure %s: %w", d.Name(), problems)
			}
		}
	}
	return nil
}

func (n *Node) startDesk(ctx context.Context, store *servicesstore.Store) error {
	signer, err := n.startSignatures()
	if err != nil {
		return err
	}
	desk := &services.Desk{
		Store: servicesstore.Desk{Store: store}, Library: n.libraries, Calendar: func() *calendar.Calendar { return n.calendar },
		Exchange: courier{n}, Post: post{n}, Sign: signer, Audit: deskAudit{n.audit}, Messages: n.messages, Places: n.places, Now: n.now, Log: n.log,
		Agency: services.Office{Code: n.cfg.Member, Name: n.cfg.Name.In("vi"), Province: n.cfg.Unit}, Units: n.cfg.Desk.Units, Offers: n.cfg.Desk.Offers,
		Registers: n.cfg.Desk.Registers, Portal: n.cfg.Desk.PortalService, PublicURL: n.cfg.Desk.PortalURL, Place: n.cfg.Desk.Place,
		OfficerTitle: func(account string) string { return n.officer(account).Title }, //nolint:contextcheck // looked up while serving, after this context
	}
	n.takeOverDesk(desk)
	n.relay.Handlers[services.TopicConfirmation] = func(ctx context.Context, m outbox.Message) error {
		var id string
		if err := json.Unmarshal(m.Payload, &id); err != nil {
			return outbox.Permanent(err)
		}
		return desk.IssueConfirmation(ctx, id)
	}
	n.every("services.supplements", 10*time.Minute, func(ctx context.Context) error {
		_, err := desk.SweepSupplements(ctx)
		return err
	})
	api := n.apiMux()
	(&servicesapi.Desk{Desk: desk, Portals: n.cfg.Desk.Portals}).Mount(api)
	if err := n.exchange.Offer("onestop/dossiers", exchange.Offering{
		Verify: exchange.VerifyBefore, // what it takes in has effects
		Name:   map[string]string{"vi": "Tiếp nhận hồ sơ thủ tục hành chính", "en": "Administrative dossiers"}, Personal: true, Public: true,
	}, api); err != nil {
		return err
	}
	n.delivery.Events[services.FactsService] = []string{services.FactType}
	if err := n.tellOld(ctx, desk); err != nil {
		return err
	}
	facts := n.apiMux()
	(&servicesapi.Facts{Store: servicesstore.Desk{Store: store}}).Mount(facts)
	if err := n.exchange.Offer("onestop/facts", exchange.Offering{
		Name: map[string]string{"vi": "Số liệu giải quyết hồ sơ (không có dữ liệu cá nhân)", "en": "Facts about dossiers (no personal data)"}, Public: true,
	}, facts); err != nil {
		return err
	}
	pages := &servicesdesk.Pages{Desk: desk, Renderer: n.renderer, Messages: n.messages, Now: n.now, Log: n.log, OfficerName: n.officerName}
	return pages.Mount(n.mux)
}

// officerName names an account of this node, or repeats it when nobody has it any more.
func (n *Node) officerName(account string) string {
	if o := n.officer(account); o.Name != "" {
		return o.Name
	}
	return account
}

// officer returns an officer of this node, or nobody.
func (n *Node) officer(account string) identity.Officer {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	o, err := n.identity.Officer(ctx, account)
	if err != nil {
		n.log.WarnContext(ctx, "an officer is not in the table any more", slog.Any("error", err))
	}
	return o
}

// apiMux is a multiplexer for services behind the exchange.
func (n *Node) apiMux() *web.Mux {
	return web.NewMux(web.Options{Log: n.log, Renderer: n.renderer, Lang: n.messages})
}

func (n *Node) startPortal(store *servicesstore.Store) error {
	portal := &services.Portal{
		Store: servicesstore.Portal{Store: store}, Library: n.libraries, Exchange: courier{n}, Post: post{n}, Messages: n.messages, Places: n.places,
		Calendar: func() *calendar.Calendar { return n.calendar }, Now: n.now, Log: n.log, Agencies: n.onestopAgencies,
		Registers: n.cfg.Portal.Registers, PublicURL: n.cfg.Web.URL,
	}
	n.takeOverPortal(portal)
	for _, u := range n.cfg.Portal.Usage {
		portal.Usage = append(portal.Usage, services.UsageSource{Register: u.Register, Name: u.Name, Service: u.Service})
	}
	pay := n.cfg.Portal.Payment
	secret, err := readSecret(pay.SecretFile)
	if err != nil {
		return err
	}
	portal.Provider = &servicespay.VNPay{
		Title: pay.Name, URL: pay.URL, Merchant: pay.Merchant, Secret: secret, Now: n.now, Client: &http.Client{Timeout: 8 * time.Second},
	}
	if u, err := url.Parse(pay.URL); err == nil && u.Host != "" {
		n.formAction = append(n.formAction, u.Scheme+"://"+u.Host)
	}
	n.bypass = append(n.bypass, "POST /payments/notice")
	for _, kind := range []string{services.KindSubmission, services.KindPaper} {
		n.delivery.OnOutcome(kind, hearOutcome(portal, servicesstore.Portal{Store: store}))
	}
	api := n.apiMux()
	(&servicesapi.Notices{Portal: portal}).Mount(api)
	if err := n.exchange.Offer("portal/notices", exchange.Offering{
		Verify: exchange.VerifyBefore, // what it takes in has effects
		Name:   map[string]string{"vi": "Thông báo tình trạng hồ sơ", "en": "Dossier status notices"}, Public: true,
	}, api); err != nil {
		return err
	}
	n.everyOr("services.offers", 20*time.Second, n.directoryNews, portal.RefreshOffers)
	n.every("services.reconcile", 30*time.Second, portal.Reconcile)
	pages := &servicespage.Pages{Portal: portal, Renderer: n.renderer, Places: n.places, Messages: n.messages, Now: n.now, Log: n.log}
	return pages.Mount(n.mux)
}

// onestopAgencies reads from the directory who receives dossiers.
func (n *Node) onestopAgencies() []services.AgencyService {
	doc := n.follower.Document()
	if doc == nil {
		return nil
	}
	var out []services.AgencyService
	for _, s := range doc.Services {
		id, err := orgcode.ParseService(s.ID)
		if err != nil || id.Subsystem != "onestop" || id.Code != "dossiers" {
			continue
		}
		name := id.Member
		if m, ok := doc.Member(id.Instance + "/" + id.Class + "/" + id.Member); ok {
			name = m.Name.In("vi")
		}
		out = append(out, services.AgencyService{Agency: id.Member, Name: name, Service: s.ID})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Agency < out[j].Agency })
	return out
}

// courier meets services.Exchange and oversight's port with the exchange module.
type courier struct{ n *Node }

// Call implements [services.Exchange].
func (c courier) Call(ctx context.Context, call services.ExchangeCall) (services.ExchangeAnswer, error) {
	to, err := orgcode.ParseService(call.To)
	if err != nil {
		return services.ExchangeAnswer{}, err
	}
	header := http.Header{}
	if call.ContentType != "" {
		header.Set("Content-Type", call.ContentType)
	}
	answer, err := c.n.exchange.Call(ctx, exchange.Call{
		From: c.n.cfg.Subsystem(call.From), To: to, Method: call.Method, Path: call.Path, Query: call.Query, Header: header, Body: call.Body,
		ID: exchangeID(call.ID), UserID: call.UserID, Activity: call.Activity, Basis: call.Basis, Dossier: call.Dossier, Timeout: call.Timeout,
	})
	if err != nil {
		if f, ok := errors.AsType[*exchange.Fault](err); ok {
			c.n.log.WarnContext(ctx, "a call over the exchange failed", slog.String("service", call.To), slog.String("fault", f.Type), slog.String("hop", f.Hop))
		}
		return services.ExchangeAnswer{}, err
	}
	return services.ExchangeAnswer{Status: answer.Status, ContentType: answer.Header.Get("Content-Type"), Body: answer.Body, ID: answer.ExchangeID}, nil
}

// exchangeID makes a message id fit for a header; an empty one is left to the exchange.
func exchangeID(id string) string { return strings.NewReplacer(":", "-", "/", "-").Replace(id) }
