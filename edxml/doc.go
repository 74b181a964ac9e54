// Package edxml reads, checks and writes edXML messages: official documents that Vietnamese agencies exchange, and the
// messages about what became of them (QCVN 102:2016/BTTTT, Circular 10/2016/TT-BTTTT).
//
// A [Message] is a document, or, when its Status is set, a status message about one. The frame:
//
//	edXML
//	├─ edXMLEnvelope
//	│  ├─ edXMLHeader      MessageHeader, TraceHeaderList
//	│  └─ edXMLBody        edXMLManifest: what is attached
//	└─ AttachmentEncoded   Attachment: name, type and the file in base64
//
// [Read] is tolerant of what agencies send and safe with what nobody should: names match whatever their prefix, children
// stand in any order, unknown elements are skipped, several ways to write a date are understood; but there is no DOCTYPE, no entity,
// no archive entry that leaves its folder, and a limit on everything. It streams: an XML parser sees the message without the content of
// its attachments, which is decoded and hashed block by block on its way to [ReadOptions.Sink], so that memory does not
// depend on size. What was tolerated is in [Message.Notes]; a refusal is an [*Error] with the code that the document axis
// answers (21 a file, 22 the document) and a path such as "N.MessageHeader.From.OrganId".
//
// [Write] is strict: one order of elements, CRLF, base64 in one line, nothing that a known reader stumbles over, and the same bytes
// for the same message.
//
// The package knows no hub, no desk and no database, and imports only the standard library. Code lists whose meaning the
// sources disagree about are data ([Lists]); values are kept as received.
package edxml
