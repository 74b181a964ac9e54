// Package web is the HTTP shell that every page and interface of a node runs in: a multiplexer whose handlers
// return errors, the middleware in front of it, reading of forms, and the server itself.
//
// A request on the public listener flows through the list in [Public], outermost first:
//
//	request id → client address → access log → security headers → recover → body limit → rate limit
//	→ cross-origin protection → language → session → [Mux] → handler
//
// A handler decides, then renders into a buffer or returns an error. [Mux] is the one place where an error
// becomes an answer: a page in the person's language ([Mux.Handle]) or a problem document of RFC 9457
// ([Mux.HandleAPI]), both with the request id and never with the cause, which goes to the log.
//
// web does not know which modules there are, who people are (it takes a hook) or how pages look (see ui).
package web
