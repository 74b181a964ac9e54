package exchange

import (
	"net/http"

	"truc/internal/orgcode"
)

// HeaderMessage marks a request as a message of package delivery. It is signed like every field that changes what a
// request means.
const HeaderMessage = "Truc-Message"

// EventsCode is the reserved service of every subsystem that receives what it subscribed to.
const EventsCode = "events"

// Inbox takes messages for services of this node; [delivery.Service] answers.
type Inbox interface {
	// Wrap stands before the handler of a service.
	Wrap(to orgcode.Service, h http.Handler) http.Handler
	// Inbox is the handler of the reserved service [EventsCode].
	Inbox() http.Handler
}

// SetInbox gives the service its inbox, before it serves.
func (s *Service) SetInbox(in Inbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inbox = in
}

func (s *Service) inboxOf() Inbox {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.inbox
}

// asynchronous lets the inbox stand before a handler.
func (s *Service) asynchronous(to orgcode.Service, h http.Handler) http.Handler {
	if in := s.inboxOf(); in != nil {
		return in.Wrap(to, h)
	}
	return h
}
