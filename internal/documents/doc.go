// Package documents is the document desk ("văn thư") of an agency: outgoing and incoming official documents ("văn bản
// đi, văn bản đến"), their numbers, registers, signatures, deadlines and where each of them is.
//
// # Words
//
// The clerk ("văn thư") registers, numbers, seals and sends; the head is the competent person who signs; officers draft
// and handle. Notation is "ký hiệu", the code is number and notation, "08/SM-VP". The agency's signature takes the place
// of the seal. An office is an agency whose desk this node keeps; a node may keep several, each with registers and series
// of its own.
//
// # How a document goes out
//
//	Draft ─▶ drafting ─Submit─▶ reviewing ─Review─▶ … ─▶ approved ─SignAsPerson─▶ signed ─Issue─▶ issued ─▶ sent
//	             ◀──────────── returned ──────────┘            (number and date taken here)   (agency signature)
//
// The number is taken in one transaction before the person signs, because it is printed above the signature. One that is
// given up stays in the register, voided, with its reason: no gap and no duplicate (Decree 30/2020/NĐ-CP, article 15).
// Only a clerk applies the agency's signature, only after the person's, and only on the very bytes the person signed
// (article 32).
//
// # How a document comes in
//
//	Receive ─▶ arrived (01 by itself) ─Precheck─▶ ─Accept (03)─▶ accepted ─Assign (04)─▶ ─Start (05)─▶ ─Finish (06)─▶ done
//	                                            └─Refuse (02)─▶ refused
//
// A recall (13) or a revoking document lets the clerk cancel the document here, and only then tell the sender (15); or
// decline with a reason (16). What happened to a document is a chain of events, each sealed by a hash over the one before;
// states, lists, deadlines and registers follow from the events.
//
// # What it does not know
//
// SQL (documentsstore), pages (documentspage), how PDF is made or signed, and how messages travel: those are the ports of
// ports.go. Documents cross between agencies only as edXML messages given to the [Carrier] in the transaction of the act.
// State secrets are out of scope by law (Decision 28/2018/QĐ-TTg, article 1): every way in and out refuses them.
package documents
