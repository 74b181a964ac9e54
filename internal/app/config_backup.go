package app

import (
	"fmt"
	"time"

	"truc/internal/backup"
)

// BackupConfig has the node make backups by itself: one encrypted and signed file each, from which truc backup restore
// makes a node again.
type BackupConfig struct {
	// Dir is the folder that receives the files, better on another machine's disk than on the node's. Empty: no backups. A
	// copy of a SQLite database lies there for a while beside the file.
	Dir string `toml:"dir"`
	// Recipients are public keys, one to sixteen, made by truc backup key; each one's secret side opens every backup and
	// belongs in a safe, not on the node. Required with Dir.
	Recipients []string `toml:"recipients"`
	// EveryHours is the time between backups; default 24. -1 makes them on command only.
	EveryHours int `toml:"every_hours"`
	// Keep is how many files stay in Dir; default 7. The oldest go when a new one is complete.
	Keep int `toml:"keep"`
	// WithoutFiles leaves out the papers and documents of the modules; a node that was restored without them lacks them.
	WithoutFiles bool `toml:"without_files"`
	// WithoutBodies leaves out kept bodies of messages (logs/bodies).
	WithoutBodies bool `toml:"without_bodies"`
	// Archive puts in the files of evidence.archive_dir too. By default they are left to the archive's own copies.
	Archive bool `toml:"archive"`
}

func (b BackupConfig) every() time.Duration {
	return time.Duration(orInt(b.EveryHours, 24)) * time.Hour
}

func (b BackupConfig) recipients() ([]backup.Recipient, error) {
	out := make([]backup.Recipient, len(b.Recipients))
	for i, s := range b.Recipients {
		var err error
		if out[i], err = backup.ParseRecipient(s); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (b BackupConfig) check() (faults []error) {
	if b.Dir == "" {
		return nil
	}
	if _, err := b.recipients(); err != nil {
		faults = append(faults, fmt.Errorf("backup.recipients: %w", err))
	}
	if n := len(b.Recipients); n == 0 || n > backup.MaxRecipients {
		faults = append(faults, fmt.Errorf("backup.recipients: %d are named; name 1 to %d, made by truc backup key", n, backup.MaxRecipients))
	}
	if b.EveryHours < -1 || b.EveryHours > 24*366 || b.Keep < 0 {
		faults = append(faults, fmt.Errorf("backup: every_hours is -1 or at most a year, and keep is not negative"))
	}
	return faults
}
