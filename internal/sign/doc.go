// Package sign puts digital signatures on documents and checks them: PAdES signatures in PDF files
// (ETSI EN 319 142-1, levels B-B and B-T), detached CMS signatures for other files, and RFC 3161 time-stamps.
//
// # Signing
//
// [SignPDF] appends an incremental update, so earlier bytes never change and several people can sign one
// after the other: first the competent person, then the agency (Decree 30/2020/NĐ-CP Article 32). The
// signature itself is a CMS SignedData made by [SignDetached]'s builder with exactly the signed attributes
// of the baseline: content-type, message-digest and signing-certificate-v2.
//
// # Checking
//
// [VerifyPDF] answers with a [Report] a signature: is the signed part unchanged, does the certificate lead to
// a trusted root, since when does the signature exist, and what happened to the file after it. A signature
// in a form we do not know is reported as not checked, never as valid. Revocation is not looked at yet and
// the report says so.
//
// # What it does not know
//
// Who may sign what: keys, persons and the order of signatures are the documents module's business. Where
// keys live: a signer is any [crypto.Signer].
package sign
