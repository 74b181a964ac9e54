package app

import (
	"context"
	"fmt"
	"log/slog"
	"sort"
	"strconv"
	"strings"
	"time"

	"truc/internal/exchange"
	"truc/internal/registers"
	"truc/internal/registers/registersapi"
	"truc/internal/registers/registerspage"
	"truc/internal/registers/registersstore"
	"truc/internal/registers/synthetic"
)

// SyntheticSeed and SyntheticDay fix the invented population, so that the registers of two nodes and the sign-in
// provider know the same people.
const SyntheticSeed = 7282

// SyntheticDay is the day as of which the population is invented.
func SyntheticDay() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }

func (n *Node) startRegisters(ctx context.Context) error {
	if err := n.migrate(ctx, "registers", registersstore.Migrations, "migrations"); err != nil {
		return err
	}
	builtin, err := registers.Builtin()
	if err != nil {
		return err
	}
	tagKey, err := n.secretKey("register-tags.key")
	if err != nil {
		return err
	}
	log := accessLog{n.audit}
	svc := &registers.Service{Schemas: map[string]*registers.Schema{}, Store: &registersstore.Store{DB: n.db}, Log: log, Now: n.now, TagKey: tagKey}
	api := &registersapi.API{Service: svc, Usage: log, Log: n.log, Text: n.messages.T, Now: n.now}
	ids := make([]string, 0, len(n.cfg.Registers))
	for id := range n.cfg.Registers {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	for _, id := range ids {
		rc := n.cfg.Registers[id]
		schema, ok := builtin[id]
		if !ok {
			return fmt.Errorf("registers.%s: there is no such schema", id)
		}
		svc.Schemas[id] = schema
		if err := n.seedRegister(ctx, svc, id, rc.Seed); err != nil {
			return err
		}
		err := n.exchange.Offer(rc.Service, exchange.Offering{
			Name: schema.Name, Description: schema.Name, Personal: true, Public: true, Fields: exchange.FieldNaming{Member: "fields"},
		}, api.Records(id))
		if err != nil {
			return err
		}
		subsystem, _, _ := strings.Cut(rc.Service, "/")
		err = n.exchange.Offer(subsystem+"/usage", exchange.Offering{
			Name:     map[string]string{"vi": "Nhật ký sử dụng dữ liệu: " + schema.Name.In("vi"), "en": "Usage log: " + schema.Name.In("en")},
			Personal: true, Public: true,
		}, api.UsageService())
		if err != nil {
			return err
		}
	}
	return n.mountRegisters(svc)
}

func (n *Node) seedRegister(ctx context.Context, svc *registers.Service, id, seed string) error {
	if seed == "" {
		return nil
	}
	kind, count, _ := strings.Cut(seed, ":")
	size, err := strconv.Atoi(count)
	if kind != "synthetic" || err != nil || size < 1 || size > 1_000_000 {
		return fmt.Errorf("registers.%s.seed: %q is not synthetic:N", id, seed)
	}
	if done, err := svc.Overviews(ctx); err == nil {
		for _, o := range done {
			if o.Schema.ID == id && o.Counts.Entries > 0 {
				return nil
			}
		}
	}
	start := time.Now()
	p, err := synthetic.Generate(SyntheticSeed, size, SyntheticDay())
	if err != nil {
		return err
	}
	drafts := p.PersonDrafts()
	if id == "civilstatus" {
		drafts = p.EventDrafts()
	}
	added, err := svc.Seed(ctx, id, drafts)
	if err != nil {
		return err
	}
	n.log.InfoContext(ctx, "register filled with invented people", slog.String("register", id), slog.Int("entries", added), slog.Duration("took", time.Since(start)))
	return nil
}

func (n *Node) mountRegisters(svc *registers.Service) error {
	pages, err := registerspage.New(n.renderer, svc)
	if err != nil {
		return err
	}
	pages.Mount(n.mux)
	return nil
}
