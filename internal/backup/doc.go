// Package backup is the format of a node's backup: one file that holds named parts, encrypted for people who keep a key
// elsewhere, and signed by the node. It does not know what the parts mean.
//
// A file is
//
//	"truc-backup/1\n"
//	length of the header (4 bytes, big-endian), header (JSON, see [Header])
//	a tar archive of the parts, sealed in chunks (package sealed) under a key that only this file has
//	trailer (256 bytes): "truc-backup-end/1\n", length of the signature (2 bytes), signature, zeroes
//
// The file's key is wrapped for each recipient: X25519 with a key that is used once, HKDF-SHA256, AES-256-GCM. The node that
// makes a backup holds no key that opens it. The SHA-256 of the header is bound to every chunk, so a header cannot be given
// to other content; a chunk that is missing, moved or cut off is found by its number (STREAM).
//
// The signature is over the SHA-256 of everything before the trailer, by the node's signing key, which the header names. So
// who has no key can still check that a file is whole and whose it is. A reader must hold that key against one it knows
// from elsewhere: a header that names a key proves nothing about it.
package backup
