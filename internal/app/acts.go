package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"truc/internal/audit"
	"truc/internal/audit/auditstore"
	"truc/internal/exchange/exchangeapi"
	"truc/internal/exchange/exchangepage"
	"truc/internal/reqctx"
	"truc/internal/web"
)

// mountActs shows administrators what the audit log holds of their work.
func (n *Node) mountActs() error {
	store := &auditstore.Store{DB: n.db}
	pages := &exchangepage.ActsPages{Renderer: n.renderer, Acts: func(ctx context.Context, q exchangepage.ActQuery) ([]exchangepage.Act, error) {
		list, err := store.Acts(ctx, audit.ActQuery(q))
		out := make([]exchangepage.Act, len(list))
		for i, a := range list {
			out[i] = exchangepage.Act(a)
		}
		return out, err
	}}
	return errors.Join(pages.Mount(n.mux), exchangeapi.DeclareActs(n.manage, func(ctx context.Context, actor, object string, before int64, limit int) ([]exchangeapi.AdminAct, error) {
		list, err := store.Acts(ctx, audit.ActQuery{Before: before, Actor: actor, Object: object, Limit: limit})
		out := make([]exchangeapi.AdminAct, len(list))
		for i, a := range list {
			out[i] = exchangeapi.AdminAct(a)
		}
		return out, err
	}))
}

// failedSuffix marks the record of an act that was recorded, as it has to be, before it happened, and then failed.
const failedSuffix = ".failed"

// actTrail are the acts that one request of a page has recorded.
type actTrail struct {
	mu   sync.Mutex // guards acts
	acts []actNote
}

type actNote struct{ actor, action, object string }

type actTrailKey struct{}

func noteAct(ctx context.Context, actor, action, object string) {
	t, ok := ctx.Value(actTrailKey{}).(*actTrail)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acts = append(t.acts, actNote{actor, action, object})
}

// open returns the acts of which no failure was recorded yet.
func (t *actTrail) open() (open []actNote) {
	t.mu.Lock()
	defer t.mu.Unlock()
	failed := map[actNote]bool{}
	for _, a := range t.acts {
		if action, ok := strings.CutSuffix(a.action, failedSuffix); ok {
			failed[actNote{a.actor, action, a.object}] = true
		}
	}
	for _, a := range t.acts {
		if !strings.HasSuffix(a.action, failedSuffix) && !failed[a] {
			open = append(open, a)
		}
	}
	return open
}

// recordFailedActs records that an officer's act at a page of the exchange or the directory failed: each act that was
// recorded and then refused, and where none was recorded yet, which page refused. Only what changes something is an act.
func (n *Node) recordFailedActs(h web.HandlerFunc) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Method == http.MethodGet || r.Method == http.MethodHead || n.audit == nil {
			return h(w, r)
		}
		module := ""
		for _, m := range []string{"exchange", "directory"} {
			if strings.HasPrefix(r.URL.Path, "/"+m+"/") {
				module = m
			}
		}
		by := reqctx.PrincipalOf(r.Context())
		if module == "" || by.Kind != reqctx.Officer {
			return h(w, r)
		}
		trail := &actTrail{}
		seen := &statusWriter{ResponseWriter: w}
		err := h(seen, r.WithContext(context.WithValue(r.Context(), actTrailKey{}, trail)))
		if err == nil && seen.status < http.StatusBadRequest {
			return nil
		}
		open := trail.open()
		if len(trail.acts) == 0 {
			open = []actNote{{by.ID, module + ".page", r.Pattern}}
		}
		for _, a := range open {
			if aerr := n.act(context.WithoutCancel(r.Context()), a.actor, a.action+failedSuffix, a.object); aerr != nil {
				n.log.ErrorContext(r.Context(), "a failed act cannot be recorded", slog.String("error", aerr.Error()))
				if err != nil {
					err = errors.Join(err, aerr)
				}
			}
		}
		return err
	}
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
