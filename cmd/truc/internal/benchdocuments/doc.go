// Package benchdocuments measures what a document costs at the axis: sent by one system, stored, fetched by each
// receiver's system and marked done, and a status message back from each, which the sender fetches and marks done. By turns in the same
// run the same bytes are read, decoded from base64, hashed and written to the disk by a program that does nothing else.
//
// The hub and the bare work are processes of their own, so that processor time and memory are their own: the program starts
// itself again with hidden words. The hub is what a center runs: the VXP protocol over TCP, the axis with its journal and signed
// receipts, SQLite that waits for the disk. Systems are clients in the benchmark's own process, each with its connection.
package benchdocuments
