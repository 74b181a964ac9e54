// Package receipt makes and checks signed receipts for what happens to an official document on its way: the axis took it,
// its receiver got it, opened it, or refused it (Decision 28/2018/QĐ-TTg Art. 6.3; the vendor's protocol has nothing that a
// third party could check).
//
// A receipt is a JWS (RFC 7515) by the signing key that the network's directory names for the node. It is written in the
// transaction that records the fact ([Service.Issue]), so there is none for what was not committed. Time-stamps (RFC 3161)
// follow: one token covers up to [MaxBatch] receipts, each with the hashes that lead from it to the root of a Merkle tree
// (RFC 6962 §2.1). While no authority answers, receipts are good by their signature and say that the stamp is pending;
// [Service.Stamp] catches up later.
//
//	fact ─ Issue ─▶ JWS ─ Stamp ─▶ JWS + path + token ─ File ─▶ one JSON file that [Verify] checks without a network
//
// The package knows no SQL (receiptstore) and neither the axis nor the directory: who holds which key is asked by
// functions.
package receipt
