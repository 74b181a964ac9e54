// Command truc-signer keeps the keys that sign documents and, where wanted, the node's own: it alone speaks to the devices (PKCS #11: smart cards, tokens,
// security modules), knows their PIN, and signs digests for the node over a local socket.
//
//	truc-signer -module /usr/lib/softhsm/libsofthsm2.so -token agency -pin-file /etc/truc/pin -socket /run/truc-signer.sock
//
// It is a module of its own, because devices need C code and the node shall have none, and because a fault in a vendor's
// library then ends this process and not the node.
//
// # Protocol
//
// Requests and answers in turn on one connection, each a length in four bytes (big endian) and that many bytes of JSON:
//
//	{"op":"key","key":"LABEL"}                                      → {"public":SubjectPublicKeyInfo}
//	{"op":"make","key":"LABEL","alg":"ed25519"|"p256"}              → {"public":SubjectPublicKeyInfo}
//	{"op":"sign","key":"LABEL","hash":"SHA-256","digest":…,
//	 "padding":"pkcs1"|"pss" (RSA only)}                            → {"signature":…}
//	                                                                → {"error":"unknown_key"|"busy"|"refused"|"device"}
//
// Bytes are in base64. A key is named by its label at the device, or by "id:" and its identifier in hexadecimal. ECDSA
// signatures are in ASN.1, the salt of RSASSA-PSS is as long as the digest. An Ed25519 key signs the message itself: "hash"
// is absent and "digest" holds the message. "make" answers with the key that has the label already, if there is one.
//
// # What it defends
//
// Only processes of the user it runs as, or of users named with -allow-uid, are answered: the kernel says who they are. Each
// key signs at most -rate times a second. The PIN is read from a file once and tried once; a device counts wrong ones. The
// log names key, user and outcome of each signature and never what was signed. Keys whose label begins with -node-keys sign
// messages between agencies, hundreds a second: they have a rate of their own, are counted in the log once a minute, and are
// the only ones that may be made through the socket. Nothing can be taken out or destroyed through it.
package main
