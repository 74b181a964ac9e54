// Package axisapi is the document axis as programs meet it: the VXP protocol 2.0.x, which the vendor's client SDK speaks,
// and a plain REST binding of the same words for new programs.
//
// A VXP request goes through, in this order: the connection ([Tolerant] lets header bytes through that net/http would refuse
// with a bare 400), the table of calls, the signature over the headers ([signed]), the window of the timestamp, the limits of the
// system, and the call's own parameters, which are read from the signed text alone. sendEdoc streams the body into the blob
// store while it hashes it. Every reply is HTTP 200 with JSON in ASCII that holds no null; downloadEdoc alone answers with
// bytes, and with a status and no body when it fails.
//
// The rules of documents, agencies and copies are those of package axis; here is only how they are asked for.
package axisapi
