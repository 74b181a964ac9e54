package directorystore

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

func TestStore(t *testing.T) {
	sub, err := fs.Sub(Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Module(t, "directory", sub, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
		var told []string
		s := &Store{DB: db, Tell: func(_ context.Context, _ *storage.Tx, e directory.Event) error {
			told = append(told, e.Name)
			return nil
		}}
		if _, _, err := s.Envelope(ctx); !errs.Is(err, errs.NotFound) {
			t.Errorf("Envelope of nothing: %v", err)
		}
		node := directory.NodeRecord{
			Node:           directory.Node{ID: "VN/GOV/H36/node1", Member: "VN/GOV/H36", LinkURL: "https://h:1", Subsystems: []string{"VN/GOV/H36/onestop"}, Keys: []directory.PublicKey{}},
			CertificatePEM: "pem", NotAfter: now.Add(time.Hour), JoinedAt: now, PublishedAt: 5, TLSChangedAt: now,
		}
		put := func(st *directory.State) error {
			st.Members["VN/GOV/H36"] = directory.Member{Class: "GOV", Code: "H36", Name: i18n.Text{"vi": "Lâm Đồng"}, Unit: "68"}
			st.Nodes[node.ID] = node
			st.Services["VN/GOV/H36/onestop/facts"] = directory.Service{ID: "VN/GOV/H36/onestop/facts", Node: node.ID, Kind: "rest"}
			st.Tokens["t1"] = directory.TokenRecord{ID: "t1", Member: "VN/GOV/H36", Node: node.ID, PublicKey: "p", CreatedAt: now, ExpiresAt: now.Add(time.Hour), CreatedBy: "a", Approval: true}
			st.Revoked["k1"] = directory.Revocation{KeyID: "k1", Node: node.ID, Reason: "lost", At: now}
			st.Subsystems["VN/GOV/H36/onestop"] = directory.Subsystem{Name: i18n.Text{"vi": "Một cửa"}, State: directory.Disabled}
			st.Groups["provinces"] = directory.Group{Code: "provinces", Members: []string{"VN/GOV/H36/onestop"}}
			st.Requests["t1"] = directory.PendingJoin{TokenID: "t1", Node: node.ID, State: directory.Registering, Request: []byte(`{}`), FiledAt: 7}
			st.Policy = directory.Policy{Approval: true}
			st.Head = directory.Head{Version: st.Head.Version + 1, Hash: "h1", Envelope: []byte("{}"), IssuedAt: 1, ExpiresAt: 2}
			st.Events = append(st.Events, directory.Event{Name: "directory.node.joined"})
			return nil
		}
		if err := s.Change(ctx, put); err != nil {
			t.Fatal(err)
		}
		if err := s.Touch(ctx, node.ID, now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		got, err := s.View(ctx)
		if err != nil {
			t.Fatal(err)
		}
		node.LastSeen = now.Add(time.Minute)
		if d := cmp.Diff(node, got.Nodes[node.ID]); d != "" {
			t.Errorf("node (-want +got):\n%s", d)
		}
		if got.Head.Version != 1 || got.Head.Hash != "h1" || len(got.Members) != 1 || len(got.Tokens) != 1 || got.Revoked["k1"].Reason != "lost" {
			t.Errorf("state = %+v", got)
		}
		if got.Subsystems["VN/GOV/H36/onestop"].State != directory.Disabled || len(got.Groups["provinces"].Members) != 1 || got.Requests["t1"].FiledAt != 7 || !got.Tokens["t1"].Approval || !got.Policy.Approval {
			t.Errorf("subsystems, groups, policy = %+v, %+v, %+v", got.Subsystems, got.Groups, got.Policy)
		}
		if d := cmp.Diff([]string{"directory.node.joined"}, told); d != "" {
			t.Error(d)
		}
		// A change that fails leaves nothing behind; one that takes things away takes them away.
		boom := errors.New("boom")
		if err := s.Change(ctx, func(st *directory.State) error { clear(st.Services); return boom }); !errors.Is(err, boom) {
			t.Errorf("Change = %v", err)
		}
		if err := s.Change(ctx, func(st *directory.State) error {
			clear(st.Services)
			clear(st.Tokens)
			clear(st.Groups)
			st.Policy = directory.Policy{}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if got, err = s.View(ctx); err != nil || len(got.Services) != 0 || len(got.Tokens) != 0 || len(got.Nodes) != 1 || len(got.Groups) != 0 || got.Policy.Approval || len(got.Subsystems) != 1 {
			t.Errorf("state = %+v, %v", got, err)
		}
		if b, err := s.Version(ctx, 1); err != nil || string(b) != "{}" {
			t.Errorf("Version(1) = %s, %v", b, err)
		}
	})
}
