// Package benchdossiers measures whole lives of dossiers: filed, received, checked against a register, paid, proposed,
// signed and returned, by the code a node runs, on the databases a node runs on.
//
// Real are the procedure bundle and its rules, the desk, its store, the outbox and its relay, the audit entries up to
// the transparency log, the printed slips and the result with two signatures and time-stamps. Not real are the exchange,
// which answers at once from this process (so neither the network nor the other agency's database is measured), the
// pages, and the keys, which come from the development authority and lie in files instead of a hardware module. The
// report says the same, because a figure travels further than this comment.
//
// A figure says little about another machine, so every run also measures bare transactions that write as many rows
// of the same sizes to the same engine, and reports the ratio.
package benchdossiers
