package app

import (
	"context"
	"errors"
	"os"
	"strings"
	"unicode"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/i18n"
)

// maintenanceFile holds the notice of a node in maintenance, so that it is still in maintenance after a restart.
const maintenanceFile = "maintenance.txt"

func (n *Node) maintenance() string {
	s, err := readSecret(n.path(maintenanceFile))
	if err != nil {
		return ""
	}
	return s
}

// SetMaintenance implements [directory.OwnNode]. The node refuses calls of others with the notice at once, and the
// directory tells it to everybody, so that they choose another node where there is one.
func (n *Node) SetMaintenance(ctx context.Context, actor, notice string) error {
	notice = i18n.NFC(strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, notice)))
	if len(notice) > directory.MaxMaintenance {
		return errs.E(errs.Invalid, "directory.maintenance_too_long", nil)
	}
	action := "directory.maintenance.on"
	if notice == "" {
		action = "directory.maintenance.off"
	}
	if err := n.act(ctx, actor, action, n.cfg.ServerID()); err != nil {
		return err
	}
	var err error
	if notice == "" {
		if err = os.Remove(n.path(maintenanceFile)); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	} else {
		err = replaceFile(n.path(maintenanceFile), []byte(notice))
	}
	if err != nil {
		return err
	}
	if n.exchange != nil {
		n.exchange.SetMaintenance(notice)
	}
	return n.follower.Publish(ctx, n.cfg.ServerID(), n.currentKeys(), n.profile())
}
