// Package exchange carries requests between the information systems of agencies: signed, authorised, logged on both
// sides, answered or refused with proof.
//
// A request flows like this. A module (or, at the edge, a program) hands a [Call] to its own node. The node finds
// the provider's node in the directory, signs the request (RFC 9421 over RFC 9530 digests), appends it to its log,
// and sends it over mutual TLS. The provider's node verifies signature and digest, refuses repeats, applies its
// rules (deny by default, purpose required for personal data), appends the request to its own log, calls the handler
// that was offered for the service, logs and signs the answer, bound to that one request. The consumer's node verifies
// and logs the answer before anybody sees it. A refusal is signed and logged like an answer.
//
//	consumer                         provider
//	Call → sign → log → carry  ⇒  verify → replay → rules → log → handler
//	     ← log  ← verify       ⇐  sign ← log ←
//
// If an exchange cannot be logged it does not happen. A node that calls its own service goes the same way; only the
// network is left out.
//
// A body of more than [StreamThreshold] streams: its head is signed first, and its digest comes after it under a second
// signature. Who reads it always lags a block behind, so that the end is given out only once it is known to be good
// (ADR 0021).
//
// The package knows no SQL, listens on nothing and imports no other module: the directory, the log and the index are
// ports. exchangestore keeps the index, exchangeapi is the link between nodes and the X-Road edge for programs,
// exchangepage shows traffic to administrators.
package exchange
