// Package alarm tells people elsewhere when something about a node begins to be wrong, goes on, and is well again: by mail
// and by a signed webhook. It does not know what the findings mean; they come from whoever looks at the node.
//
// A look goes through [Service.Look]: findings become conditions, one for each name, and conditions are kept in the database
// with what was told of them. What there is to tell is written into the outbox in the same transaction, once for each
// channel, so that a restart neither loses nor repeats it; the outbox carries it there, again and again for a day.
//
// It never floods. A finding counts when it was there for some time, and is over when it was away for some time; all that
// there is to tell goes into one message, and no message follows the one before sooner than a pause. What happens in between
// waits in the conditions, of which there are as many as findings have names.
package alarm
