// Package audit records who read whose data, and who did what, so that nobody can later change or hide it, and so
// that a citizen can check it without trusting us. It does not decide who may read, and
// it serves no page: the registers and the portal ask it.
//
// Words: an access ("lượt truy cập") is one reading of one person's data; a line ("dòng nhật ký") is an access as
// stored; a leaf is what stands for it in the Merkle log of package translog; a withheld line ("dòng chưa công
// khai") is one that a law keeps from the citizen until a date; an act is an administrative or business deed.
//
// # Two places
//
// The record, with personal data, lies in the node's database and can be deleted after its retention. The log
// holds only a leaf of 112 bytes: sequence number, time, kind, commit = SHA-256(salt ‖ canonical record), a tag
// that is HMAC-SHA256 of the personal number under the key of the year, and prev, the hash of the same tag's
// previous leaf. Without the salt nobody can guess a record from its leaf; without the year's key nobody can link
// tags to people; and a line taken out of a person's chain breaks it.
//
// # No line, no data
//
// [Service.RecordAccess] returns nil only when the record is committed in the database and its leaf is on the
// disk of the log. On any error the caller must give no data. The order is:
//
//  1. one database transaction stores records, salts and the exact bytes of the leaves, and moves the heads of
//     the chains; the rows say "not yet in the log";
//  2. the leaves are appended to the log, in the order of their numbers, and waited for;
//  3. the caller is answered;
//  4. the next transaction notes the log indexes (they can be found again, so nobody waits for this).
//
// A crash or a refused disk after 1 leaves rows that are not in the log: they were never answered, and before
// anything else happens [Service.Start], or the next call, appends the very same bytes. A crash after 2 leaves
// rows that do not know their index: it is found by reading the end of the log. So a line may exist for data that
// was in the end not given, but never the other way round. The reverse order would leave leaves in the log whose
// record nobody knows.
//
// A database that lacks a leaf which the log has, or a log that lacks one which the database saw in it, was put
// back from a backup: nothing is recorded, and so nothing is read, until a person has looked.
//
// Calls that wait at the same time share one transaction and one sync of the log; one goroutine does this work,
// which also makes the chains right without any lock in the database. The log's file lock keeps a second process
// away.
//
// # Receipts
//
// [Service.Receipt] packs a line with its proof; [VerifyReceipt] here and docs/verify_receipt.py, which needs
// nothing of ours, check it offline and must always agree. A receipt proves that a line exists, not that there
// are no others.
package audit
