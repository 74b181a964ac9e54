// Package services runs administrative procedures ("thủ tục hành chính") from the first click to the signed result.
//
// There are two sides, which may run on one node or on two. The [Portal] is where a citizen finds a procedure, fills
// it in with what registers already know, pays, follows and rates it; it keeps drafts and filings. The [Desk] is
// where an agency's officers receive a dossier ("hồ sơ"), check it, ask for more, decide, sign and return; it keeps
// dossiers. Between the two go the messages of wire.go, over the exchange and in no other way.
//
//	citizen ─ servicespage ─ Portal ──outbox──▶ exchange ──▶ servicesapi ─ Desk ─ servicesdesk ─ officer
//	               ▲            ▲                                            │
//	               └── notices ─┴────────── exchange ◀───────outbox──────────┘
//
// What a procedure asks, costs, allows and prints is data: see package bundle. Events are the truth about a dossier;
// its state, clock and lists are folds over them (see [Event], [Dossier.Apply], [Clock]). A dossier keeps the
// version of its procedure for life.
//
// The package knows no SQL, no HTML and no HTTP server; the exchange, keys, audit log and payment provider are
// behind the ports of ports.go.
package services
