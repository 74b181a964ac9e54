package documentsstore

import (
	"context"
	"strconv"
	"strings"

	"truc/internal/documents"
	"truc/internal/storage"
)

// List implements [documents.Store].
func (s *Store) List(ctx context.Context, q documents.Query) ([]documents.Row, error) {
	return list(ctx, s.DB, q)
}

// List implements [documents.Tx].
func (t *tx) List(ctx context.Context, q documents.Query) ([]documents.Row, error) {
	return list(ctx, t.Tx, q)
}

// where collects conditions; each bind has its own number in order of appearance.
type where struct {
	cond []string
	args []any
}

// and adds a condition whose question marks become the next binds.
func (w *where) and(cond string, args ...any) {
	for _, a := range args {
		w.args = append(w.args, a)
		cond = strings.Replace(cond, "?", "$"+strconv.Itoa(len(w.args)), 1)
	}
	w.cond = append(w.cond, cond)
}

func conditions(q documents.Query) *where {
	w := &where{}
	w.and("office = ?", q.Office)
	if q.Direction != "" {
		w.and("direction = ?", q.Direction)
	}
	if len(q.States) > 0 {
		marks, args := []string{}, []any{}
		for _, s := range q.States {
			marks, args = append(marks, "?"), append(args, s)
		}
		w.and("state IN ("+strings.Join(marks, ", ")+")", args...)
	}
	if q.Viewer != "" {
		w.and("EXISTS (SELECT 1 FROM documents_viewer v WHERE v.document = documents_document.id AND v.account = ?)", q.Viewer)
	}
	equal := func(column, v string) {
		if v != "" {
			w.and(column+" = ?", v)
		}
	}
	equal("holder", q.Holder)
	equal("type", q.Type)
	equal("document_id", q.DocumentID)
	equal("notation", q.Notation)
	if q.Number != "" {
		w.and("number_key = ?", numberKey(q.Number))
	}
	if q.Party != "" {
		// Outgoing rows hold all receivers between blanks, incoming ones the one sender.
		w.and(`(party = ? OR party LIKE ? ESCAPE '!')`, q.Party, "% "+escape(q.Party)+" %")
	}
	if q.From != "" {
		w.and("doc_date >= ?", q.From)
	}
	if q.To != "" {
		w.and("doc_date <= ? AND doc_date <> ''", q.To)
	}
	for i, word := range strings.Fields(q.Words) {
		if i < 12 {
			w.and(`search LIKE ? ESCAPE '!'`, "%"+escape(word)+"%")
		}
	}
	if !q.DueBefore.IsZero() {
		w.and("due_at <> 0 AND due_at < ?", storage.Micros(q.DueBefore))
	}
	if !q.SendBefore.IsZero() {
		w.and("send_at <> 0 AND send_at < ?", storage.Micros(q.SendBefore))
	}
	if q.Urgent {
		w.and("urgency > 0")
	}
	if q.Amending {
		w.and("kind > 0")
	}
	if q.Flagged {
		w.and("flags <> ''")
	}
	return w
}

func escape(s string) string { return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(s) }

func list(ctx context.Context, db storage.Querier, q documents.Query) ([]documents.Row, error) {
	w := conditions(q)
	order := "created_at DESC, id DESC"
	if q.Sort == "urgent" {
		order = "urgency DESC, CASE WHEN due_at = 0 THEN 1 ELSE 0 END, due_at, created_at, id"
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 50
	}
	w.args = append(w.args, limit, q.Offset)
	n := len(w.args)
	rows, err := db.QueryContext(ctx, `SELECT `+columns+` FROM documents_document WHERE `+strings.Join(w.cond, " AND ")+
		` ORDER BY `+order+` LIMIT $`+strconv.Itoa(n-1)+` OFFSET $`+strconv.Itoa(n), w.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []documents.Row
	for rows.Next() {
		r, err := scanRow(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}
