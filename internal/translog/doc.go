// Package translog is an append-only log in files whose whole history is held together by one Merkle tree
// (RFC 6962), so that nobody, the operator included, can change or remove an entry afterwards unseen. The audit
// module and the evidence log of the exchange each keep one. It knows nothing about what an entry means.
//
// A log is a folder:
//
//	data        the entries; each is length (4 bytes), CRC-32C of the payload (4 bytes), payload; big-endian
//	offsets     8 bytes an entry: where its record begins in data
//	hashes      32 bytes a tree node, in the dense order of golang.org/x/mod/sumdb/tlog
//	durable     the number of entries known to be on the disk, with a CRC
//	checkpoint  the last signed checkpoint (C2SP tlog-checkpoint)
//	lock        held with flock: one process writes
//
// Only data is waited for; offsets and hashes are computed from it, and [Open] computes again what is missing.
//
// # Commit
//
// [Log.Append] hands its entries to the kernel at once under the lock of the log. One committer runs fdatasync
// back to back, and whatever was written before a run began is released when it ends (exchange.md D23). There is
// no timer: a lone caller waits for one run, a thousand callers share one.
//
// # When the disk refuses
//
// A write that fails is taken back, the caller gets an error, and the log goes on when there is room again. An
// fdatasync that fails is final: the kernel may have thrown the pages away and would call the next run a success,
// so the log refuses everything until it is opened again and has read what really is there.
//
// # What is found at opening
//
// Every record is read and the tree computed again (about 1.3 s of CPU for a million entries). A torn last record
// is cut off, for nobody was told that it was stored. It is refused to open when an entry that was acknowledged
// is missing ([ErrRollback]), or when data, hashes and signed checkpoint disagree ([ErrDamaged]). A whole folder
// put back from an older backup looks right from inside; that is what witnesses are for (C2SP tlog-witness).
package translog
