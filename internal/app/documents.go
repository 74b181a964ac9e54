package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"truc/internal/audit"
	"truc/internal/blobs"
	"truc/internal/calendar"
	"truc/internal/documents"
	"truc/internal/documents/documentsapi"
	"truc/internal/documents/documentspage"
	"truc/internal/documents/documentsstore"
	"truc/internal/documents/paper"
	"truc/internal/exchange"
	"truc/internal/reqctx"
)

// startDocuments runs the document desk of this node's agencies.
func (n *Node) startDocuments(ctx context.Context) error {
	if err := n.migrate(ctx, "documents", documentsstore.Migrations, "migrations"); err != nil {
		return err
	}
	files, err := blobs.Open(n.path("documents"))
	if err != nil {
		return err
	}
	signatures, err := n.startDeskSignatures()
	if err != nil {
		return err
	}
	c := n.cfg.Documents
	desk := &documents.Desk{
		Store: &documentsstore.Store{DB: n.db, Now: n.now, Wake: n.relay.Wake}, Blobs: files, Typesetter: paper.Typesetter{Now: n.now},
		Signatures: signatures, Audit: documentsAudit{n.audit}, Officers: documentOfficers{n},
		Certificates: documentCertificates{signatures.keys}, Calendar: func() *calendar.Calendar { return n.calendar }, Now: n.now, Log: n.log,
		Limits:      documents.Limits{Attachment: c.MaxAttachmentMiB << 20, Message: c.MaxMessageMiB << 20},
		SecretMarks: c.SecretMarks, TypeCode: c.TypeCode, Steering: c.Steering,
	}
	for _, o := range n.cfg.offices() {
		office := documents.Office{
			Code: o.Code, Name: o.Name, Superior: o.Superior, Letters: o.Letters, Place: o.Place, Address: o.Address, Email: o.Email, Telephone: o.Telephone, Website: o.Website,
			SeriesByType: o.SeriesByType,
		}
		for _, u := range o.Units {
			office.Units = append(office.Units, documents.Unit(u))
		}
		desk.Offices = append(desk.Offices, office)
	}
	courier := &documentsapi.Courier{Subsystem: "documents", Blobs: files, Post: parcels{n}, Exchange: parcels{n}}
	api := &documentsapi.Desk{
		Desk: desk, Courier: courier, Axis: c.Axis, Messages: n.messages, Querier: documentsstore.Querier, Directory: n.follower.Envelope, Now: n.now,
	}
	desk.Carrier = api
	n.documents = api
	n.delivery.OnOutcome(documentsapi.KindSent, hearParcel(api.Ended))
	n.relay.Handlers[documentsapi.TopicOutcome] = api.Outcome
	inbox, payloads := n.apiMux(), n.apiMux()
	api.MountInbox(inbox)
	courier.MountPayloads(payloads)
	offer := func(code, vi, en string, h http.Handler) error {
		return n.exchange.Offer("documents/"+code, exchange.Offering{
			Verify: exchange.VerifyBefore, // what it takes in has effects
			Name:   map[string]string{"vi": vi, "en": en}, Public: true,
		}, h)
	}
	n.tendDocuments(desk, files)
	pages := &documentspage.Pages{Desk: desk, Renderer: n.renderer, Messages: n.messages, Actor: n.actor, Print: n.printRegister, Word: n.printWord, Now: n.now, Log: n.log}
	return errors.Join(
		(&documentOperations{n: n, api: api}).declare(n.manage),
		pages.Mount(n.mux),
		offer("inbox", "Tiếp nhận văn bản điện tử từ trục", "Official documents from the axis", inbox),
		offer("payloads", "Nội dung văn bản đang gửi lên trục", "Contents of documents on their way to the axis", payloads),
	)
}

// tendDocuments does what nobody has to ask for: documents leave at their time, files that no document refers to go after
// a day, and certificates that end are announced.
func (n *Node) tendDocuments(desk *documents.Desk, files *blobs.Store) {
	n.every("documents.send", n.sendPause(), func(ctx context.Context) error {
		_, err := desk.SendDue(ctx)
		return err
	})
	n.every("documents.sweep", 24*time.Hour, func(ctx context.Context) error {
		_, err := files.Sweep(ctx, n.now().Add(-24*time.Hour), func(sha string) (bool, error) { return desk.Keeps(ctx, sha) })
		return err
	})
	n.every("documents.expiring", 24*time.Hour, func(ctx context.Context) error {
		for _, o := range desk.Offices {
			ending, err := desk.Expiring(ctx, o.Code)
			if err != nil {
				return err
			}
			for _, a := range ending { // whose it is stands on the desk's page, not in the log
				n.log.WarnContext(ctx, "certificate of the document desk ends soon", slog.String("office", o.Code), slog.Int("days", a.Days))
			}
		}
		return nil
	})
}

// sendPause is how often documents are looked for that are to leave by themselves.
func (n *Node) sendPause() time.Duration {
	if n.cfg.Env == "development" {
		return 5 * time.Second
	}
	return 30 * time.Second
}

// actor turns who is signed in into who acts at the document desk.
func (n *Node) actor(p reqctx.Principal) documents.Actor {
	o := n.officer(p.ID)
	return documents.Actor{Account: p.ID, Name: o.Name, Title: o.Title, Agency: o.Agency, Roles: o.Roles}
}

// printRegister writes a register of the document desk as a file.
func (n *Node) printRegister(t documents.Table, format string) (file []byte, media string, err error) {
	f, err := paper.Register(paper.Table(t), paper.Format(format), n.now())
	return f.Content, f.Media, err
}

// documentsAudit meets documents.Audit with the audit module.
type documentsAudit struct{ audit *audit.Service }

// Act implements [documents.Audit].
func (a documentsAudit) Act(ctx context.Context, tx documents.Queue, actor, action, object string) error {
	q, ok := documentsstore.Querier(tx)
	if !ok {
		return errors.New("the transaction of the document desk cannot hold an audit entry")
	}
	return a.audit.Act(ctx, q, audit.Entry{Actor: actor, Action: action, Object: object})
}

// documentOfficers meets documents.Officers with the node's table of officers.
type documentOfficers struct{ n *Node }

// People implements [documents.Officers].
func (d documentOfficers) People(ctx context.Context, office string) ([]documents.Person, error) {
	list, err := d.n.identity.ActiveOfficers(ctx)
	var out []documents.Person
	for _, o := range list {
		if o.Agency == office || strings.HasPrefix(o.Agency, office+".") {
			out = append(out, documents.Person{Account: o.Account, Name: o.Name, Title: o.Title, Unit: o.Agency, Roles: o.Roles})
		}
	}
	return out, err
}

// documentCertificates meets documents.Certificates with the keys of the configuration; development keys make themselves
// anew.
type documentCertificates struct{ keys *documentKeys }

// Certificates implements [documents.Certificates].
func (d documentCertificates) Certificates(context.Context, string) ([]documents.Certificate, error) {
	var out []documents.Certificate
	for _, k := range d.keys.cfg.Keys {
		if k.Account == "" && k.Seal == "" {
			continue
		}
		cert, _, err := d.keys.certificates(k)
		if err != nil {
			return out, err
		}
		out = append(out, documents.Certificate{Subject: cert.Subject.CommonName, NotAfter: cert.NotAfter})
	}
	return out, nil
}
