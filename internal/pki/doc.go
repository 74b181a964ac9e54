// Package pki holds the keys and certificates of a node: private keys on disk, the certificate authority of an
// exchange instance, the mutual TLS settings between nodes, and a development authority for document signatures.
//
// A [KeyStore] keeps a node's keys in plain files, in files sealed with a passphrase, or in a device behind the signer program.
// A node makes its key with [LoadOrCreateKey] and a request with [NewCSR]; the center answers with
// [CA.IssueNode]. On the link, [ServerTLS] and [ClientTLS] accept a peer only if its chain ends in an
// authority of the directory and the caller's accept function finds its key there: a name alone proves
// nothing. Certificates live at most [MaxNodeLifetime], so there is no status protocol.
//
// The package knows neither the directory nor the exchange; both reach it through functions.
package pki
