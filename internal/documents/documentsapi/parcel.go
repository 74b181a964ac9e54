package documentsapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"truc/internal/blobs"
	"truc/internal/errs"
	"truc/internal/jcs"
	"truc/internal/outbox"
	"truc/internal/reqctx"
	"truc/internal/web"
)

const (
	// InlineMax is the largest edXML message that travels as the body of its exchange message.
	InlineMax = 64 << 10
	// Life is how long a message may be on its way: longer than an agency is ever closed.
	Life = 30 * 24 * time.Hour

	mediaDocument  = "application/xml"
	mediaReference = "application/vnd.truc.reference+json"
	maxPayload     = 1 << 30
)

// Post queues messages of the exchange.
type Post interface {
	// Send queues a message in the caller's transaction; the same id again does nothing.
	Send(ctx context.Context, tx outbox.Querier, m Message) error
	// OnItsWay returns body and receiving service of a message of a subsystem of this node that has not come to its end;
	// errs.NotFound otherwise.
	OnItsWay(ctx context.Context, from, id string) (body []byte, to string, err error)
}

// Message is one message to a service of another agency.
type Message struct {
	ID string
	// From is the sending subsystem's code, "documents" or "axis"; To a five-segment service.
	From, To, Path, Query string
	ContentType           string
	Body                  []byte
	// Order: messages with the same one go one after the other; what is refused for good does not hold the rest.
	Order string
	Life  time.Duration
	// Kind names who hears of the outcome, Ref what it is about.
	Kind, Ref string
}

// Exchange fetches from services of other agencies.
type Exchange interface {
	// Get reads path of a service from a byte on. It returns the status, the body, which must be closed, and the length of
	// the body or -1. Only io.EOF says that what was read is what was signed. errs.Unavailable when there was no answer.
	Get(ctx context.Context, from, service, path string, offset int64) (status int, body io.ReadCloser, length int64, err error)
}

// Courier sends and takes parcels for one subsystem of this node.
type Courier struct {
	// Subsystem is its code, "documents" or "axis".
	Subsystem string
	Blobs     *blobs.Store
	Post      Post
	Exchange  Exchange
}

// reference is the body of a message whose payload is fetched.
type reference struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// Send queues a message that carries a payload.
func (c *Courier) Send(ctx context.Context, tx outbox.Querier, m Message, payload blobs.Blob) (err error) {
	defer errs.Wrap(&err, "send parcel %s", m.ID)
	m.From, m.Life = c.Subsystem, Life
	if payload.Size > InlineMax {
		m.ContentType = mediaReference
		if m.Body, err = jcs.Marshal(reference(payload)); err != nil {
			return err
		}
		return c.Post.Send(ctx, tx, m)
	}
	f, _, err := c.Blobs.Open(payload.SHA256)
	if err != nil {
		return err
	}
	m.Body, err = io.ReadAll(io.LimitReader(f, InlineMax+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if int64(len(m.Body)) != payload.Size {
		return fmt.Errorf("the payload %s has not the %d bytes it is known by", payload.SHA256, payload.Size)
	}
	m.ContentType = mediaDocument
	return c.Post.Send(ctx, tx, m)
}

// Take reads the payload of a message that arrived into the blob store, and fetches it where it was announced. errs.Invalid
// and errs.NotFound are final; after errs.Unavailable the message comes again and the fetch goes on.
func (c *Courier) Take(r *http.Request) (b blobs.Blob, err error) {
	defer errs.Wrap(&err, "take parcel")
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return b, errs.E(errs.Invalid, "documentsapi.media_unknown", err)
	}
	switch media {
	case mediaDocument:
		body, err := io.ReadAll(io.LimitReader(r.Body, InlineMax+1))
		if err != nil {
			return b, err
		}
		if len(body) > InlineMax {
			return b, errs.E(errs.TooLarge, "documentsapi.inline_too_large", nil)
		}
		return c.Blobs.Put(bytes.NewReader(body))
	case mediaReference:
		body, err := io.ReadAll(io.LimitReader(r.Body, 1024))
		if err != nil {
			return b, err
		}
		ref, err := parseReference(body)
		if err != nil {
			return b, err
		}
		return c.fetch(r.Context(), reqctx.CallerOf(r.Context()), ref)
	}
	return b, errs.E(errs.Invalid, "documentsapi.media_unknown", fmt.Errorf("media type %q", media))
}

func parseReference(body []byte) (ref reference, err error) {
	if err := jcs.Check(body); err != nil {
		return ref, errs.E(errs.Invalid, "documentsapi.reference_invalid", err)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&ref); err != nil || !blobs.ValidName(ref.SHA256) || ref.Size <= 0 || ref.Size > maxPayload {
		return ref, errs.E(errs.Invalid, "documentsapi.reference_invalid", err)
	}
	return ref, nil
}

// fetch gets a payload from the sender's service "payloads", beside the one it sent from.
func (c *Courier) fetch(ctx context.Context, caller reqctx.Caller, ref reference) (b blobs.Blob, err error) {
	if size, ok := c.Blobs.Has(ref.SHA256); ok {
		if size != ref.Size {
			return b, errs.E(errs.Invalid, "documentsapi.wrong_size", nil)
		}
		return blobs.Blob(ref), nil
	}
	p, offset, err := c.Blobs.Resume(ref.SHA256, ref.Size)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, p.Close()) }() // what came stays for the next attempt
	if offset < ref.Size {
		if err := c.read(ctx, caller, ref, offset, p); err != nil {
			return b, err
		}
	}
	b, err = p.Commit()
	switch {
	case errs.Is(err, errs.Invalid) && offset == 0:
		return b, errs.E(errs.Invalid, "documentsapi.wrong_hash", err)
	case errs.Is(err, errs.Invalid): // a piece of an earlier attempt may have been damaged: begin anew
		return b, errs.E(errs.Unavailable, "documentsapi.fetch_again", err)
	}
	return b, err
}

func (c *Courier) read(ctx context.Context, caller reqctx.Caller, ref reference, offset int64, w io.Writer) (err error) {
	status, body, length, err := c.Exchange.Get(ctx, c.Subsystem, caller.Subsystem+"/payloads", "/"+caller.ExchangeID, offset)
	if err != nil {
		return errs.E(errs.Unavailable, "documentsapi.fetch_again", err)
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	switch {
	case status == http.StatusNotFound || status == http.StatusGone:
		return errs.E(errs.Invalid, "documentsapi.payload_gone", nil)
	case status == http.StatusOK && offset == 0, status == http.StatusPartialContent:
	default:
		return errs.E(errs.Unavailable, "documentsapi.fetch_again", fmt.Errorf("the sender answered %d", status))
	}
	if length >= 0 && length != ref.Size-offset {
		return errs.E(errs.Invalid, "documentsapi.wrong_size", fmt.Errorf("%d bytes from %d on; %d were announced in all", length, offset, ref.Size))
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(body, ref.Size-offset+1), make([]byte, 256<<10)); err != nil {
		if errs.Is(err, errs.Invalid) {
			return errs.E(errs.Invalid, "documentsapi.wrong_size", err)
		}
		return errs.E(errs.Unavailable, "documentsapi.fetch_again", err)
	}
	return nil
}

// MountPayloads registers the service by which receivers fetch what this subsystem announced.
func (c *Courier) MountPayloads(m *web.Mux) {
	m.HandleAPI("GET /{message}", c.payload)
}

// payload gives a file to the subsystem that a message announcing it is for, as long as the message is on its way.
func (c *Courier) payload(w http.ResponseWriter, r *http.Request) (err error) {
	caller := reqctx.CallerOf(r.Context())
	own := ownerOf(caller.Service) // "VN/GOV/H36/documents" of "VN/GOV/H36/documents/payloads"
	gone := errs.E(errs.NotFound, "documentsapi.payload_gone", nil)
	body, to, err := c.Post.OnItsWay(r.Context(), own, r.PathValue("message"))
	if errs.Is(err, errs.NotFound) {
		return gone
	}
	if err != nil {
		return err
	}
	if ownerOf(to) != caller.Subsystem {
		return gone
	}
	ref, err := parseReference(body)
	if err != nil {
		return gone
	}
	f, size, err := c.Blobs.Open(ref.SHA256)
	if errs.Is(err, errs.NotFound) || err == nil && size != ref.Size {
		return gone
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w.Header().Set("Content-Type", mediaDocument)
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

// ownerOf returns the subsystem of a service.
func ownerOf(service string) string {
	i := strings.LastIndexByte(service, '/')
	return service[:max(i, 0)]
}

// writeJSON answers with JSON.
func writeJSON(w http.ResponseWriter, status int, v any) error { return web.WriteJSON(w, status, v) }

// problem is the body of a refusal that the sender shows to people.
type problem struct {
	// Code is that of the VXP protocol, 0 where the axis was not the one to refuse.
	Code int    `json:"code,omitempty"`
	Key  string `json:"key"`
	// Text is Vietnamese.
	Text string `json:"text"`
}

// maxAnswer bounds answers that are read.
const maxAnswer = 1 << 20

func readJSON(r io.Reader, v any) error {
	b, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err != nil {
		return err
	}
	if len(b) > maxAnswer {
		return errs.E(errs.TooLarge, "documentsapi.unreadable", nil)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return errs.E(errs.Invalid, "documentsapi.unreadable", err)
	}
	return nil
}
