// Package agreement holds what two or more members of the network agree about the use of services: the document, the
// statements with which each of them accepts, rejects or revokes it, what follows from both, and the check of a single call
// against what is in force (exchange spec §3.4, decisions D13 to D15).
//
// An agreement ("thoả thuận chia sẻ dữ liệu") is an immutable document in canonical JSON (RFC 8785). Its SHA-256 is its
// name; every grant in it has a name of its own, which travels with each call in the header Truc-Grant and stands in every
// log entry. It is in force when every party has signed "accept", none has signed "reject" or "revoke", and the clock is
// inside its validity. Each party decides this from its own store; no third party is asked when a call is made.
//
// The package is pure: no clock, no database, no network. Keys come from a function, the directory of the network.
package agreement
