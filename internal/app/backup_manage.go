package app

import (
	"context"
	"log/slog"
	"time"

	"truc/internal/errs"
	"truc/internal/web/manage"
)

// backupState is how the backups of a node stand.
type backupState struct {
	Configured bool      `json:"configured"`
	Running    bool      `json:"running"`
	Tried      time.Time `json:"tried" doc:"when the last one of this process was begun; year 1 when none was"`
	Failed     bool      `json:"failed" doc:"the last one of this process failed; the log of the program says why"`
	Signer     string    `json:"signer" doc:"fingerprint of the key that signs them; keep it with the key that opens them"`
	Items      []Backup  `json:"items" doc:"the newest first"`
}

// declareBackups adds the operations.
func (n *Node) declareBackups() error {
	err := manage.Handle(n.manage, manage.Operation{
		Method: "GET", Path: "/api/exchange/backups", ID: "listBackups", Tag: "backup", Summary: "List the backups of this node",
		Roles: []manage.Role{manage.System, manage.Security},
	}, func(ctx context.Context, _ struct{}) (backupState, error) { return n.backupState(ctx) })
	if err != nil {
		return err
	}
	requests := make(chan string, 1)
	n.background("backup.requests", func(ctx context.Context) error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case actor := <-requests:
				if _, err := n.MakeBackup(ctx, actor); err != nil && ctx.Err() == nil {
					n.backups.note(false, n.now(), err)
					n.log.ErrorContext(ctx, "a backup failed", slog.Any("error", err))
				}
			}
		}
	})
	return manage.Handle(n.manage, manage.Operation{
		Method: "POST", Path: "/api/exchange/backups", ID: "createBackup", Tag: "backup",
		Summary: "Begin a backup; it goes on when the answer is there", Roles: []manage.Role{manage.System}, Status: 202,
		Act: actBackup, Quiet: true,
	}, func(ctx context.Context, _ struct{}) (backupState, error) {
		if n.cfg.Backup.Dir == "" {
			return backupState{}, errs.E(errs.Conflict, "exchange.backup.not_configured", nil)
		}
		n.backups.mu.Lock()
		busy := n.backups.busy
		n.backups.busy = true
		n.backups.mu.Unlock()
		if busy {
			return backupState{}, errs.E(errs.Conflict, "exchange.backup.running", nil)
		}
		select {
		case requests <- manage.OperatorOf(ctx).Actor():
		default:
			return backupState{}, errs.E(errs.Conflict, "exchange.backup.running", nil)
		}
		return n.backupState(ctx)
	})
}

func (n *Node) backupState(ctx context.Context) (backupState, error) {
	list, err := n.listBackups()
	if err != nil {
		return backupState{}, err
	}
	st := backupState{Configured: n.cfg.Backup.Dir != "", Items: list}
	if st.Items == nil {
		st.Items = []Backup{}
	}
	if key, err := n.backupSigner(ctx); err == nil {
		st.Signer = keyFingerprint(key.Public())
	}
	n.backups.mu.Lock()
	defer n.backups.mu.Unlock()
	st.Running, st.Tried, st.Failed = n.backups.busy, n.backups.tried, n.backups.failed != ""
	return st, nil
}
