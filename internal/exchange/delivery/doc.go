// Package delivery brings messages to services of other agencies at least once and in order, and lets services tell
// events to those who subscribed (spec §4.10, D34).
//
// A sender writes a message in the transaction of the change that causes it ([Service.Send]); the outbox carries it as an
// ordinary exchange call, signed and logged on both sides, with the header Truc-Message. The receiver's node keeps the
// first result by sender and message id, so that a repeat changes nothing, and stores before it acknowledges.
//
//	Send ─ queued ─▶ sent ─▶ answered                     the service answered in the same exchange
//	                    └──▶ accepted ─▶ delivered        its node took it for a system behind it (push or pull)
//	                                  └▶ answered         and that system answered with a body
//	       expired: not accepted in time    dead: refused for good, waits for an operator    dropped: by an operator
//
// Messages with one order key from one sender to one service go one after the other. A dead message holds those behind it
// until an operator replays or drops it, unless its sender said [Message.Skip]; an expired one lets them go on.
//
// Events are numbered for each service without gaps, in the order of commits. A subscription is confirmed by the
// subscriber's node before anything is sent; then batches go through the same machinery, one at a time, and the cursor
// moves with the acknowledgement ([Service.Publish], [Service.Follow]).
//
// The package knows no SQL and listens on nothing: deliverystore keeps the tables, exchangeapi is the edge for programs
// (/a1/), exchangepage the operators' page.
package delivery
