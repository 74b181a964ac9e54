package app

import (
	"context"
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"time"

	"truc/internal/audit"
	"truc/internal/audit/auditstore"
	"truc/internal/outbox"
	"truc/internal/pki"
	"truc/internal/registers"
	"truc/internal/services"
	"truc/internal/storage"
	"truc/internal/translog"
)

func (n *Node) startAudit(ctx context.Context) error {
	if err := n.migrate(ctx, "audit", auditstore.Migrations, "migrations"); err != nil {
		return err
	}
	log, err := n.openLog("audit")
	if err != nil {
		return err
	}
	n.audit = &audit.Service{Store: &auditstore.Store{DB: n.db, Process: n.cfg.ServerID()}, Log: log, Keys: audit.FileKeys{Dir: n.path("keys", "epochs")}, Now: n.now}
	if err := n.audit.Start(ctx); err != nil {
		return err
	}
	n.closers = append(n.closers, n.audit.Close)
	n.relay.Handlers[audit.Topic] = n.audit.Handler
	return nil
}

// openLog opens a transparency log of this node; the key that signs its checkpoints is made at the first start.
func (n *Node) openLog(name string) (*translog.Log, error) {
	key, err := n.keystore.LoadOrCreate(n.path("keys", name+"-log.key"), pki.Ed25519)
	if err != nil {
		return nil, err
	}
	priv, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("the key of the log is not an Ed25519 key")
	}
	opt := translog.Options{
		Dir: n.path("logs", name), Origin: n.logOrigin(name), Continues: n.restored.Logs[name].Keys, Key: priv, Now: n.now,
		SegmentSize: n.cfg.Evidence.segmentSize(), Compress: !n.cfg.Evidence.Uncompressed,
	}
	if dir := n.cfg.Evidence.ArchiveDir; dir != "" {
		opt.ArchiveDir = filepath.Join(dir, name)
		// Also when nothing new is encrypted, for what was before.
		seal, err := n.secretKey("exchange-seal.key")
		if err != nil {
			return nil, err
		}
		opt.ArchiveKey, opt.ArchiveClear = seal, !n.cfg.Evidence.ArchiveEncrypt
	}
	log, err := translog.Open(opt)
	if err != nil {
		return nil, err
	}
	if n.logs == nil {
		n.logs = map[string]*translog.Log{}
	}
	n.logs[name] = log
	n.closers = append(n.closers, func(context.Context) error { return log.Close() })
	return log, nil
}

// accessLog meets registers.AccessLog and registers.UsageLog with the audit module.
type accessLog struct{ audit *audit.Service }

// RecordAccess implements [registers.AccessLog].
func (a accessLog) RecordAccess(ctx context.Context, lines ...registers.Access) error {
	out := make([]audit.Access, len(lines))
	for i, l := range lines {
		out[i] = audit.Access{
			SubjectID: l.SubjectID, At: l.Time, Agency: l.Agency, AgencyName: l.AgencyName, Subsystem: l.Subsystem, Register: l.Register,
			Activity: l.Activity, Text: l.Purpose, LegalBasis: l.LegalBasis, Dossier: l.Dossier, Fields: l.Fields, Kind: audit.Kind(l.Kind),
			ExchangeID: l.ExchangeID, RequestID: l.RequestID,
		}
	}
	return a.audit.RecordAccess(ctx, out...)
}

// Receipt implements [registers.UsageLog].
func (a accessLog) Receipt(ctx context.Context, subject, line string) ([]byte, error) {
	return a.audit.Receipt(ctx, subject, line)
}

// Since implements [registers.UsageLog]: lines are never thrown away in this release, so the log reaches back to the
// oldest line there is, which the register does not need to know better than "from the beginning".
func (a accessLog) Since(context.Context) (time.Time, error) { return time.Time{}, nil }

// deskAudit meets services.Audit with the audit module.
type deskAudit struct {
	audit *audit.Service
}

// Act implements [services.Audit]: the entry travels through the outbox of the caller's transaction.
func (a deskAudit) Act(ctx context.Context, tx services.Queue, actor, action, object string) error {
	q, ok := tx.(outbox.Querier)
	if !ok {
		return errors.New("the transaction of the desk cannot hold an audit entry")
	}
	return a.audit.Act(ctx, q, audit.Entry{Actor: actor, Action: action, Object: object})
}

// Usage implements [registers.UsageLog].
func (a accessLog) Usage(ctx context.Context, q registers.UsageQuery) (registers.UsagePage, error) {
	lines, total, err := a.audit.Usage(ctx, q.SubjectID, q.From, q.To, q.Offset, q.Limit)
	page := registers.UsagePage{Total: total}
	for _, l := range lines {
		page.Lines = append(page.Lines, registers.UsageLine{LineID: l.LineID, Access: registers.Access{
			Time: l.At, SubjectID: l.SubjectID, Agency: l.Agency, AgencyName: l.AgencyName, Subsystem: l.Subsystem, Register: l.Register,
			Activity: l.Activity, Purpose: l.Text, LegalBasis: l.LegalBasis, Dossier: l.Dossier, Fields: l.Fields, Kind: string(l.Kind),
			ExchangeID: l.ExchangeID, RequestID: l.RequestID,
		}})
	}
	return page, err
}

// Withheld implements [registers.UsageLog].
func (a accessLog) Withheld(ctx context.Context, subject string) ([]registers.Withheld, error) {
	n, until, err := a.audit.Withheld(ctx, subject)
	if err != nil || n == 0 {
		return nil, err
	}
	return []registers.Withheld{{Count: n, ReleaseOn: until}}, nil
}

// act records an administrative act in a transaction of its own, before it happens; when it cannot be recorded, it
// does not happen.
func (n *Node) act(ctx context.Context, actor, action, object string) error {
	noteAct(ctx, actor, action, object)
	return n.db.InTx(ctx, func(tx *storage.Tx) error {
		return n.audit.Act(ctx, tx, audit.Entry{Actor: actor, Action: action, Object: object})
	})
}
