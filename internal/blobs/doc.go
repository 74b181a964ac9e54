// Package blobs keeps files named by the SHA-256 of what they contain, below one folder. A payload that a hundred
// receivers share is one file; a database row refers to it by its name.
//
// # What is promised
//
// When [Writer.Commit] or [Partial.Commit] has returned, the file, its name and the folders above it are on the disk, so
// a row that is committed afterwards never points to nothing, also after a power cut. Before that, nothing exists under
// a final name: a killed process leaves at most files in the folders tmp and partial, which [Store.Sweep] removes. A file
// never changes once it has its name.
//
// # What it does not know
//
// Who may read a file, how long it is to be kept, and whether it is referred to: [Store.Sweep] asks its caller. One
// process uses a folder.
package blobs
