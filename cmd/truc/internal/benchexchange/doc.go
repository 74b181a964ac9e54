// Package benchexchange measures what an exchange costs: two nodes and a back end on loopback and, by turns in the same
// run, a bare pair of reverse proxies over the same mutual TLS that neither sign nor log.
//
// Every part is a process of its own, so that the processor time of each is its own: the program starts itself again
// with hidden words and tells the part over its standard input what it is. The Truc pair is what a node runs: the r1 edge
// with an API key, the service, the link, the log with a real fdatasync, and the index in SQLite. Only the directory is
// a list in memory. The bare pair forwards the same bytes to the same back end.
//
// Figures of another machine, or of this one in another hour, say little; the ratio of the two pairs says more, because
// they shared the machine by turns. It is of processor time, which neighbours disturb less than the clock.
package benchexchange
