// Package translog is an append-only log in files whose whole history is held together by one Merkle tree
// (RFC 6962), so that nobody, the operator included, can change or remove an entry afterwards unseen. The audit
// module and the evidence log of the exchange each keep one. It knows nothing about what an entry means.
//
// A log is a folder:
//
//	data-N      a segment: the entries from number N on (12 digits); each is length (4 bytes), CRC-32C of the payload
//	            (4 bytes), payload; big-endian. A segment is closed at 64 MiB; only the last one is written to
//	data-N.archived
//	            says where a closed segment went that was moved to the archive folder
//	pruned      signed statement of the first entry that is still there, and of the policy that removed those before
//	offsets     8 bytes an entry: where its record begins in its segment
//	hashes      32 bytes a tree node, in the dense order of golang.org/x/mod/sumdb/tlog
//	durable     the number of entries known to be on the disk, with a CRC
//	checkpoint  the last signed checkpoint (C2SP tlog-checkpoint)
//	lock        held with flock: one process writes
//
// Only the segments are waited for; offsets and hashes are computed from it, and [Open] computes again what is missing.
//
// # Commit
//
// [Log.Append] hands its entries to the kernel at once under the lock of the log. One committer runs fdatasync
// back to back, and whatever was written before a run began is released when it ends (exchange.md D23). There is
// no timer: a lone caller waits for one run, a thousand callers share one.
//
// # When the disk refuses
//
// A write that fails is taken back, the caller gets an error, and the log goes on when there is room again; so it is with
// the note of what is durable, whose entries are acknowledged by the next run that can write it. An
// fdatasync that fails is final: the kernel may have thrown the pages away and would call the next run a success,
// so the log refuses everything until it is opened again and has read what really is there.
//
// # What is found at opening
//
// The segments are read from the one in which the last signed checkpoint ends, so that opening costs the same however
// long the log is (64 MiB take about 0.2 s). Older hashes are taken from the file only if they lead to the signed root.
// Older entries are held against their hash whenever they are read, and all of them by [Log.Verify], which a node runs
// in the background. Without a checkpoint, or when hashes are missing, every record is read and the tree computed again
// (about 1.3 s of CPU for a million entries). A torn last record is cut off, for nobody was told that it was stored. It
// is refused to open when an entry that was acknowledged is missing ([ErrRollback]), or when data, hashes and signed
// checkpoint disagree ([ErrDamaged]). A whole folder put back from an older backup looks right from inside; that is what
// witnesses are for (C2SP tlog-witness).
//
// # Archive and prune
//
// [Log.Archive] copies a closed segment to the archive folder, reads the copy back against the tree, notes where it is,
// and only then removes the original; the copy may be encrypted (Options.ArchiveKey); a process killed in between finishes or takes back the move when it opens. [Log.Prune]
// first puts a signed statement on the disk and then removes whole segments, oldest first; their hashes stay. A log with
// a single file "data", the first format, becomes segment 0 by being renamed.
package translog
