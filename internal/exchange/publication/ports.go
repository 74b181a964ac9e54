package publication

import (
	"context"
	"net/http"
	"time"

	"truc/internal/exchange"
)

// Store keeps published services. Each change raises a count, so that other processes of the node see that there was one.
type Store interface {
	// Publications returns all, sorted by code.
	Publications(ctx context.Context) ([]Published, error)
	// AddPublication keeps a new one; Conflict when the code is taken.
	AddPublication(ctx context.Context, p *Published) error
	// SavePublication replaces the one whose code and version are p's and raises the version; Conflict when it was
	// changed or deleted meanwhile.
	SavePublication(ctx context.Context, p *Published) error
	// DeletePublication removes one; NotFound when there is none.
	DeletePublication(ctx context.Context, code string) error
	// PublicationChanges is the count of changes.
	PublicationChanges(ctx context.Context) (int64, error)
}

// Drafts keep documents between being handed in and being confirmed.
type Drafts interface {
	// KeepDraft keeps one and drops those made before a time.
	KeepDraft(ctx context.Context, d *Draft, before time.Time) error
	// Draft returns one; NotFound when there is none.
	Draft(ctx context.Context, id string) (*Draft, error)
	DropDraft(ctx context.Context, id string) error
}

// Draft is a document that somebody handed in and has not confirmed yet.
type Draft struct {
	ID string
	// Code is the service to refresh; empty for a new one.
	Code string
	// Document is as it was handed in, Source the address it came from.
	Document  []byte
	Source    string
	CreatedAt time.Time
	CreatedBy string
}

// Host is the exchange on this node; [exchange.Service] answers.
type Host interface {
	Put(code string, o exchange.Offering, h http.Handler) error
	Withdraw(code string)
	CheckOffer(code string) error
	Offers() []exchange.Offered
}
