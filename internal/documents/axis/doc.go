// Package axis is the hub for official documents between agencies ("trục liên thông văn bản quốc gia"), which the center
// runs: it takes a message from whoever owns the sending agency, keeps a copy for each receiver, hands the copies out,
// and remembers who had what and when, so that it can be proved.
//
// # Words
//
// A party is a system that sends and fetches for its agencies: a system that speaks the VXP protocol, or a node of the
// exchange. An agency is known by codes, of which one is current and others are old or second names; agencies are renamed,
// merged and split, and their history stays. A message is an edXML document or an edXML status message, kept as the bytes
// that came. A copy is what one receiver has of it: initial, processing, done or fail.
//
// # A message, from end to end
//
//	the caller stores the bytes in blobs, durable
//	→ [Hub.Submit]: known already? then the same answer again
//	→ edxml.Read, edxml.Validate, the rule on state secrets
//	→ one transaction: who sends, who receives (codes, successors, locks), the message, its copies,
//	  the journal, receipts, and the delivery to receivers that are nodes
//	→ [Hub.Received], [Hub.Open], [Hub.Report] by the receiver's party, or [Hub.ReportIn] when the node has taken it
//
// Nothing is answered before the transaction is on the disk, and nothing of a refused message is kept.
//
// # What it does not know
//
// It knows no wire format but edXML: package axisapi speaks VXP and REST, documentsapi the exchange. It does not know how a
// node is reached ([Carrier]) nor how a receipt is signed ([Issuer]). It never opens an attachment but to check that it may
// pass, never changes a byte, and gives no right to anybody: who owns an agency stands in its register.
//
// Law: Decision 28/2018/QĐ-TTg (messages between agencies), Decree 30/2020/NĐ-CP Appendix VI (duplicates, statistics),
// Decision 20/2020/QĐ-TTg (agency codes), QCVN 102:2016/BTTTT (edXML).
package axis
