package app

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"truc/edxml"
	"truc/internal/audit"
	"truc/internal/blobs"
	"truc/internal/documents/axis"
	"truc/internal/documents/axisapi"
	"truc/internal/documents/axisstore"
	"truc/internal/documents/documentsapi"
	"truc/internal/documents/receipt"
	"truc/internal/documents/receiptstore"
	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/orgcode"
	"truc/internal/pki"
)

// startAxis runs the hub for official documents.
func (n *Node) startAxis(ctx context.Context) error {
	if err := errors.Join(n.migrate(ctx, "axis", axisstore.Migrations, "migrations"), n.migrate(ctx, "receipt", receiptstore.Migrations, "migrations")); err != nil {
		return err
	}
	files, err := blobs.Open(n.path("axis"))
	if err != nil {
		return err
	}
	seal, err := n.secretKey("axis-seal.key")
	if err != nil {
		return err
	}
	receipts, err := n.receipts()
	if err != nil {
		return err
	}
	secrecy, err := secrecyRule(n.cfg.Axis.SecrecyFile)
	if err != nil {
		return err
	}
	courier := &documentsapi.Courier{Subsystem: "axis", Blobs: files, Post: parcels{n}, Exchange: parcels{n}}
	api := &documentsapi.Axis{Courier: courier, Receipts: receipts, Messages: n.messages}
	c := n.cfg.Axis
	hub := &axis.Hub{
		Store: &axisstore.Store{DB: n.db}, Blobs: files, Carrier: api,
		Issuer: &documentsapi.Issuer{Receipts: receipts, Courier: courier}, Audit: axisAudit{n}, SealKey: seal,
		Edxml: edxml.ReadOptions{Limits: edxml.Limits{Message: c.MaxMessageMiB << 20}, Strict: c.Strict}, Secrecy: secrecy,
		Lease: time.Duration(c.LeaseMinutes) * time.Minute, Retention: time.Duration(c.RetentionDays) * 24 * time.Hour, Now: n.now, Log: n.log,
	}
	api.Hub = hub
	for _, kind := range []string{documentsapi.KindCopy, documentsapi.KindNews} {
		n.delivery.OnOutcome(kind, hearParcel(api.Ended))
	}
	if err := n.offerAxis(api, courier); err != nil {
		return err
	}
	n.vxp = &axisapi.API{
		Hub: hub, Blobs: files, Texts: n.messages, Prefix: c.Prefix, MaxMessage: c.MaxMessageMiB << 20, Now: n.now, Log: n.log,
		Plain: n.cfg.Env != pki.Production || c.BehindTLS,
	}
	if err := n.openAxis(hub); err != nil {
		return err
	}
	if err := n.seedAxis(ctx, hub); err != nil {
		return err
	}
	n.axisJobs(hub, receipts, files)
	n.measureAxis(hub, receipts) //nolint:contextcheck // what it registers runs whenever the figures are read
	return nil
}

// secrecyRule reads the rule on state secrets, the program's own when no file is named.
func secrecyRule(path string) (axis.SecrecyRule, error) {
	if path == "" {
		return axis.DefaultSecrecy(), nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return axis.SecrecyRule{}, fmt.Errorf("axis.secrecy_file: %w", err)
	}
	r, err := axis.ParseSecrecy(b)
	if err != nil {
		return r, fmt.Errorf("axis.secrecy_file: %w", err)
	}
	return r, nil
}

// offerAxis publishes what desks call.
func (n *Node) offerAxis(api *documentsapi.Axis, courier *documentsapi.Courier) error {
	messages, agencies, receipts, payloads := n.apiMux(), n.apiMux(), n.apiMux(), n.apiMux()
	api.MountMessages(messages)
	api.MountAgencies(agencies)
	api.MountReceipts(receipts)
	courier.MountPayloads(payloads)
	offer := func(code, vi, en string, h http.Handler) error {
		return n.exchange.Offer("axis/"+code, exchange.Offering{
			Verify: exchange.VerifyBefore, // what it takes in has effects
			Name:   map[string]string{"vi": vi, "en": en}, Public: true,
		}, h)
	}
	return errors.Join(
		offer("messages", "Trục liên thông văn bản: gửi văn bản và trạng thái", "Document axis: documents and statuses", messages),
		offer("agencies", "Trục liên thông văn bản: danh sách cơ quan", "Document axis: agencies", agencies),
		offer("receipts", "Trục liên thông văn bản: biên nhận", "Document axis: receipts", receipts),
		offer("payloads", "Trục liên thông văn bản: nội dung đang chuyển", "Document axis: contents on their way", payloads),
	)
}

// receipts is the service that signs receipts with this node's key.
func (n *Node) receipts() (*receipt.Service, error) {
	authorities, err := n.authorities()
	if err != nil {
		return nil, err
	}
	s := &receipt.Service{
		Store: &receiptstore.Store{DB: n.db}, Node: n.cfg.ServerID(),
		Key: func() (crypto.Signer, string) {
			k := n.currentKeys().Signing
			return k, pki.KeyID(k.Public())
		},
		Directory:   func() (int64, []byte) { return n.follower.Status().Version, n.follower.Envelope() },
		DirectoryAt: n.directoryAt, Now: n.now, Log: n.log,
	}
	for _, a := range authorities {
		s.Authorities = append(s.Authorities, receipt.Authority{Client: a.Client, Roots: a.Roots})
	}
	return s, nil
}

// seedAxis registers what the configuration names, each once: what administrators change later stays.
func (n *Node) seedAxis(ctx context.Context, hub *axis.Hub) error {
	known, err := hub.Systems(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, s := range known {
		there[s.ID] = true
	}
	for _, s := range n.cfg.Axis.Systems {
		if there[s.ID] {
			continue
		}
		err := writeOnce(s.SecretFile, func() (string, error) {
			b := make([]byte, 24)
			_, _ = rand.Read(b) // never fails (crypto/rand)
			return base64.RawURLEncoding.EncodeToString(b), nil
		})
		if err != nil {
			return err
		}
		secret, err := readSecret(s.SecretFile)
		if err != nil {
			return err
		}
		if err := hub.AddSystemWith(ctx, "system", axis.SystemForm{ID: s.ID, Name: orString(s.Name, s.ID), MayRegister: s.MayRegister}, secret); err != nil {
			return fmt.Errorf("axis.systems %s: %w", s.ID, err)
		}
	}
	for _, g := range n.cfg.Axis.Agencies {
		owner := axis.VXP(g.System)
		if g.Node != "" {
			sub, err := orgcode.ParseSubsystem(g.Node)
			if err != nil {
				return err
			}
			owner = axis.Node(sub)
		}
		if _, err := hub.AgencyAt(ctx, g.Code, n.now()); !errs.Is(err, errs.NotFound) {
			if err != nil {
				return err
			}
			continue
		}
		if _, err := hub.AdmitAgency(ctx, "system", axis.AgencyForm{Code: g.Code, Name: g.Name, Old: g.Old, Owner: owner}); err != nil {
			return fmt.Errorf("axis.agencies %s: %w", g.Code, err)
		}
	}
	return nil
}

func orString(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// axisJobs keeps the hub in order.
func (n *Node) axisJobs(hub *axis.Hub, receipts *receipt.Service, files *blobs.Store) {
	n.every("axis.leases", time.Minute, func(ctx context.Context) error {
		_, err := hub.ReturnLeases(ctx)
		return err
	})
	var seen int64
	n.every("axis.nodes", 2*time.Second, func(ctx context.Context) error {
		version := n.follower.Status().Version
		if version == seen {
			return nil
		}
		if _, err := hub.SyncNodes(ctx, n.desks()); err != nil {
			return err
		}
		seen = version
		return nil
	})
	n.every("axis.stamps", 20*time.Second, receipts.StampAll)
	n.every("axis.expire", 6*time.Hour, func(ctx context.Context) error {
		_, err := hub.Expire(ctx)
		return err
	})
	n.every("axis.sweep", time.Hour, func(ctx context.Context) error {
		_, err := files.Sweep(ctx, n.now().Add(-24*time.Hour), func(sha string) (bool, error) { return hub.Wants(ctx, sha) })
		return err
	})
	var anchored axis.Mark
	n.every("axis.anchor", time.Hour, func(ctx context.Context) (err error) {
		anchored, err = hub.Anchor(ctx, anchored)
		return err
	})
}

// desks lists the members of the network whose nodes take documents.
func (n *Node) desks() []axis.NodeAgency {
	doc := n.follower.Document()
	if doc == nil {
		return nil
	}
	var out []axis.NodeAgency
	for _, s := range doc.Services {
		id, err := orgcode.ParseService(s.ID)
		if err != nil || id.Subsystem != "documents" || id.Code != "inbox" {
			continue
		}
		name := id.Member
		if m, ok := doc.Member(id.Instance + "/" + id.Class + "/" + id.Member); ok {
			name = m.Name.In("vi")
		}
		out = append(out, axis.NodeAgency{Party: axis.Node(id.Owner()), Code: id.Member, Name: name})
	}
	return out
}

// measureAxis shows how much waits.
func (n *Node) measureAxis(hub *axis.Hub, receipts *receipt.Service) {
	n.metrics.Collect("truc_axis_documents", "Documents that their receivers have not taken over, and those among them that are past due.", "gauge", []string{"state"}, func(emit func(float64, ...string)) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		list, err := hub.Lateness(ctx, "")
		if err != nil {
			return
		}
		var waiting, late int64
		for _, w := range list {
			waiting, late = waiting+w.Waiting, late+w.Late
		}
		emit(float64(waiting), "waiting")
		emit(float64(late), "late")
	})
	n.metrics.Collect("truc_axis_receipts_unstamped", "Receipts that wait for a time-stamp.", "gauge", nil, func(emit func(float64, ...string)) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if waiting, _, err := receipts.Store.Waiting(ctx); err == nil {
			emit(float64(waiting))
		}
	})
}

// axisAudit meets axis.Audit with the audit module.
type axisAudit struct{ n *Node }

// Act implements [axis.Audit].
func (a axisAudit) Act(ctx context.Context, tx axis.Tx, actor, action, object string) error {
	return a.n.audit.Act(ctx, tx, audit.Entry{Actor: actor, Action: action, Object: object})
}
