package benchdossiers

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"truc/cmd/truc/internal/benchdossiers/benchstore"
	"truc/internal/adminunits"
	"truc/internal/audit"
	"truc/internal/audit/auditstore"
	"truc/internal/calendar"
	"truc/internal/exchange/delivery"
	"truc/internal/exchange/deliverystore"
	"truc/internal/i18n"
	"truc/internal/orgcode"
	"truc/internal/outbox"
	"truc/internal/pki"
	"truc/internal/services"
	"truc/internal/services/bundle"
	"truc/internal/services/servicesstore"
	"truc/internal/storage"
	"truc/internal/translog"
	"truc/lang"
	"truc/procedures"
)

// procedureCode is the procedure that is measured: a civil-status extract, with a fee, a register check and a signed
// result.
const procedureCode = "2.000635"

const (
	agency = "H36"
	unit   = "H36.14"
)

// node is the part of a node that handles dossiers.
type node struct {
	db       *storage.DB
	desk     *services.Desk
	proc     *bundle.Procedure
	relay    *outbox.Relay
	exchange *network
	delivery *delivery.Service
	audit    *audit.Service
	log      *translog.Log
	logDir   string
	tally    *tally
	now      func() time.Time
}

// clock runs at the real pace from a working morning on which the procedure is in force, whatever day it is outside.
func clock(real func() time.Time) func() time.Time {
	start := real()
	morning := time.Date(2026, 7, 21, 8, 0, 0, 0, i18n.Zone)
	return func() time.Time { return morning.Add(real().Sub(start)).UTC().Truncate(time.Microsecond) }
}

func newNode(ctx context.Context, opt Options, dsn, dir string) (n *node, err error) {
	n = &node{exchange: &network{}, tally: &tally{}, now: clock(opt.Now), logDir: filepath.Join(dir, "log")}
	if n.db, err = storage.Open(ctx, dsn, storage.Options{}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close(ctx))
		}
	}()
	for module, fsys := range map[string]fs.FS{"outbox": outbox.Migrations, "audit": auditstore.Migrations, "delivery": deliverystore.Migrations, "services": servicesstore.Migrations} {
		sub, err := fs.Sub(fsys, "migrations")
		if err != nil {
			return nil, err
		}
		if err := storage.Migrate(ctx, n.db, module, sub, n.now()); err != nil {
			return nil, err
		}
	}
	n.relay = &outbox.Relay{DB: benchstore.Counted{DB: n.db, Writes: &n.tally.relay}, Now: n.now, Log: opt.Log}
	n.delivery = &delivery.Service{
		Store: &deliverystore.Store{DB: n.db}, Caller: portalSide{n.exchange}, Hosts: func(orgcode.Subsystem) bool { return true }, Wake: n.relay.Wake, Now: n.now, Log: opt.Log,
		Events: map[string][]string{services.FactsService: {services.FactType}},
	}
	if err := n.startAudit(ctx, dir); err != nil {
		return nil, err
	}
	if err := n.startDesk(ctx, opt, dir); err != nil {
		return nil, err
	}
	n.relay.Handlers = n.handlers()
	return n, nil
}

func (n *node) startAudit(ctx context.Context, dir string) error {
	key, err := pki.LoadOrCreateKey(filepath.Join(dir, "audit-log.key"), pki.Ed25519)
	if err != nil {
		return err
	}
	priv, ok := key.(ed25519.PrivateKey)
	if !ok {
		return errors.New("the key of the log is not an Ed25519 key")
	}
	if n.log, err = translog.Open(translog.Options{Dir: n.logDir, Origin: "truc/bench/audit", Key: priv, Now: n.now}); err != nil {
		return err
	}
	n.audit = &audit.Service{
		Store: countedAudit{Store: &auditstore.Store{DB: n.db}, n: n.tally}, Log: countedLog{Log: n.log, n: n.tally},
		Keys: audit.FileKeys{Dir: filepath.Join(dir, "epochs")}, Now: n.now,
	}
	return n.audit.Start(ctx)
}

func (n *node) startDesk(ctx context.Context, opt Options, dir string) error {
	messages, err := i18n.Load(lang.FS)
	if err != nil {
		return err
	}
	places, err := adminunits.Load()
	if err != nil {
		return err
	}
	signer, err := newSignatures(filepath.Join(dir, "sign"), n.now)
	if err != nil {
		return err
	}
	store := &servicesstore.Store{DB: n.db, Now: n.now, Wake: n.relay.Wake}
	library := &services.Library{Store: store, Now: n.now}
	files, err := fs.Sub(procedures.FS, procedureCode)
	if err != nil {
		return err
	}
	proc, problems, err := library.Publish(ctx, files, "system")
	if err != nil {
		return err
	}
	if !problems.OK() {
		return fmt.Errorf("procedure %s: %w", procedureCode, problems)
	}
	n.proc = proc
	cal := calendar.Vietnam()
	n.desk = &services.Desk{
		Store: countedDesk{DeskStore: servicesstore.Desk{Store: store}, n: n.tally}, Library: library,
		Calendar: func() *calendar.Calendar { return cal }, Exchange: n.exchange, Post: poster{n.delivery, n.now}, Sign: signer, Audit: acts{n.audit},
		Messages: messages, Places: places, Now: n.now, Log: opt.Log,
		Agency:    services.Office{Code: agency, Name: "Ủy ban nhân dân tỉnh Lâm Đồng", Province: "68"},
		Units:     []services.Office{{Code: unit, Name: "Ủy ban nhân dân phường Mẫu", Province: "68"}},
		Offers:    []string{procedureCode},
		Registers: map[string]string{"civilstatus/event": civilService},
		Portal:    portalService, PublicURL: "https://portal.example", Place: "Lâm Đồng",
	}
	return nil
}

func (n *node) handlers() map[string]outbox.Handler {
	all := map[string]outbox.Handler{
		audit.Topic: n.tally.counted(n.audit.Handler),
		services.TopicConfirmation: n.tally.counted(func(ctx context.Context, m outbox.Message) error {
			var id string
			if err := json.Unmarshal(m.Payload, &id); err != nil {
				return outbox.Permanent(err)
			}
			return n.desk.IssueConfirmation(ctx, id)
		}),
	}
	for topic, h := range n.delivery.Handlers() {
		all[topic] = n.tally.counted(h)
	}
	return all
}

func (n *node) close(ctx context.Context) (err error) {
	if n.audit != nil {
		err = n.audit.Close(ctx)
	}
	if n.log != nil {
		err = errors.Join(err, n.log.Close())
	}
	return errors.Join(err, n.db.Close())
}
