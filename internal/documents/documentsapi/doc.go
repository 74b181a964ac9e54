// Package documentsapi joins desks and axis over the exchange. Both halves send each other the same thing, a parcel: an edXML
// message, inline when it is small, else a reference by which the receiver fetches the bytes before it answers.
//
//	desk ── message ─▶ axis/messages            POST /edoc/{id}, /status/{id}; answer: [Taken]
//	     ◀─ fetch ──── documents/payloads       GET /{message}, Range; only while the message is on its way
//	     ── call ────▶ axis/agencies            GET /
//	     ── call ────▶ axis/receipts            GET /{docId}, GET /{docId}/{id}
//	axis ── message ─▶ documents/inbox          POST /copies/{copy}?to=H36, POST /news
//	     ◀─ fetch ──── axis/payloads
//
// The exchange has authenticated, authorised, signed and logged every request before it arrives here; who asks is in reqctx.
// A request that cannot succeed is refused with a final status, and the sender's queue goes on; everything else is a 503,
// and the message comes again ([delivery] of the exchange repeats it with the same id for thirty days).
//
// What is fetched is named by the message that announced it, so that nobody can ask for a file by guessing its digest, and
// is kept piece by piece: after a broken line the fetch goes on where it stopped, and only the whole with the right digest
// gets its name.
package documentsapi
