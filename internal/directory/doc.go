// Package directory says who belongs to the network: members, their nodes, keys and services, in one signed
// document that every node keeps a copy of.
//
// The center ([Center]) owns the registry, gives out one-time join tokens, issues certificates to nodes that
// prove possession of their keys, and signs a new version of the [Document] whenever something changes and at
// least daily. Every node ([Follower]) pulls the document, verifies it against the key pinned in its join token,
// keeps it on disk and goes on working while the center is away, for as long as the document's age allows
// ([Level]). The directory is never in the path of data: it only names keys and addresses.
//
// What protects what: the document is signed, so it may travel over any channel; a join request is signed with
// a key derived from the token, so the token's secret never leaves the node and the center stores only its public
// half; a reply to a join is believed because the certificate in it is named in the signed document.
//
// The package knows no SQL, no HTTP and no other module. directorystore, directoryapi (server side),
// directoryclient (node side) and directorypage surround it.
package directory
