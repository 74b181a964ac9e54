// Package sign puts digital signatures on documents and checks them: PAdES signatures in PDF files
// (ETSI EN 319 142-1, levels B-B, B-T and B-LT), detached CMS signatures for other files, and RFC 3161 time-stamps.
//
// # Signing
//
// [SignPDF] appends an incremental update, so earlier bytes never change and several people can sign one
// after the other: first the competent person, then the agency (Decree 30/2020/NĐ-CP Article 32). The
// signature itself is a CMS SignedData made by [SignDetached]'s builder with exactly the signed attributes
// of the baseline: content-type, message-digest and signing-certificate-v2.
//
// [ExtendPDF] adds what is needed to check a signature when authorities answer no more: certificates and statements about
// revocation, in a document security store. [StampPDF] puts a time-stamp over a whole file, for signatures that were made
// while no time-stamp service could be reached; [RaisePDF] does whatever of both is missing.
//
// # Checking
//
// [VerifyPDF] answers with a [Report] a signature: is the signed part unchanged, does the certificate lead to
// a trusted root, since when does the signature exist, had the certificate been revoked by then, and what happened to the
// file after it. Evidence about revocation is looked for in the file, then asked for if the caller wants that; where there
// is none the report says so. A signature in a form we do not know is reported as not checked, never as valid. Besides
// our own form it knows those of older readers (adbe.pkcs7.detached, adbe.x509.rsa_sha1) and time-stamps over the file.
//
// # What it does not know
//
// Who may sign what: keys, persons and the order of signatures are the documents module's business. Where
// keys live: a signer is any [crypto.Signer].
package sign
