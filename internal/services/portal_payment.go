package services

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/reqctx"
)

// paymentMoves are the allowed transitions. Confirmed is the end; a confirmation may still come after a failure or
// an expiry, because a late notice is money that did arrive.
var paymentMoves = map[PaymentState][]PaymentState{
	PayCreated:   {PayStarted, PayConfirmed, PayFailed, PayCancelled, PayExpired},
	PayStarted:   {PayConfirmed, PayFailed, PayCancelled, PayExpired},
	PayFailed:    {PayConfirmed},
	PayCancelled: {PayConfirmed},
	PayExpired:   {PayConfirmed},
}

// paymentLife is how long a payer may take at the provider.
const paymentLife = 15 * time.Minute

// StartPayment makes an order at the provider and returns where to send the browser. While an order is open at the
// provider no second one is made: the person is sent to the same order again.
func (p *Portal) StartPayment(ctx context.Context, who reqctx.Principal, ref, ip string) (to string, err error) {
	defer errs.Wrap(&err, "start payment")
	v, err := p.View(ctx, who, ref, "vi")
	if err != nil {
		return "", err
	}
	for _, open := range v.Payments {
		if open.State == PayCreated || open.State == PayStarted {
			if err := p.reconcile(ctx, open); err != nil {
				return "", errs.E(errs.Unavailable, "services.payment.provider_away", err)
			}
		}
	}
	if v, err = p.View(ctx, who, ref, "vi"); err != nil {
		return "", err
	}
	if !v.MayPay {
		return "", errs.E(errs.Conflict, "services.payment.nothing_due", nil)
	}
	pay := Payment{}
	for _, open := range v.Payments {
		if open.State == PayCreated || open.State == PayStarted {
			pay = open
		}
	}
	if pay.Reference == "" {
		pay = Payment{
			Reference: strings.ToUpper(v.ID[:12]) + fmt.Sprintf("%02d", len(v.Payments)+1), FilingID: v.ID,
			Amount: v.Summary.FeeTotal - v.Summary.FeePaid, State: PayCreated, CreatedAt: p.Now(), UpdatedAt: p.Now(),
		}
		if err := p.Store.InTx(ctx, func(tx PortalTx) error { return tx.InsertPayment(ctx, pay) }); err != nil {
			return "", err
		}
		pay.RowVersion = 1
	}
	to, err = p.Provider.Redirect(PaymentOrder{
		Reference: pay.Reference, Amount: pay.Amount, Info: p.Messages.T("vi", "services.payment.info", "number", orElse(v.Number, v.ID)),
		Lang: reqctx.Lang(ctx), IP: ip, ReturnURL: p.PublicURL + "/payments/return", CreatedAt: pay.CreatedAt, ExpiresAt: pay.CreatedAt.Add(paymentLife),
	})
	if err != nil {
		return "", errs.E(errs.Unavailable, "services.payment.provider_away", err)
	}
	if pay.State == PayCreated {
		err = p.Store.InTx(ctx, func(tx PortalTx) error {
			now, err := tx.Payment(ctx, pay.Reference)
			if err != nil || now.State != PayCreated {
				return err
			}
			now.State, now.UpdatedAt = PayStarted, p.Now()
			return tx.UpdatePayment(ctx, &now, "started", "")
		})
	}
	return to, err
}

// PaymentReturn handles the browser that comes back from the provider. What it carries is not believed: the portal
// asks the provider. It returns the filing to show.
func (p *Portal) PaymentReturn(ctx context.Context, query url.Values) (filing string, state PaymentState, err error) {
	defer errs.Wrap(&err, "payment return")
	res, err := p.Provider.ParseReturn(query)
	if err != nil {
		return "", "", err
	}
	pay, err := p.Store.Payment(ctx, res.Reference)
	if err != nil {
		return "", "", err
	}
	if pay.State == PayCreated || pay.State == PayStarted {
		if err := p.reconcile(ctx, pay); err != nil { // the notice will tell
			p.Log.WarnContext(ctx, "the payment provider did not answer a query", slog.Any("error", err))
		}
		if pay, err = p.Store.Payment(ctx, res.Reference); err != nil {
			return "", "", err
		}
	}
	return pay.FilingID, pay.State, nil
}

// Codes that answer a provider's notice.
const (
	replyOK        = "00"
	replyUnknown   = "01"
	replyRepeated  = "02"
	replyAmount    = "04"
	replySignature = "97"
	replyError     = "99"
)

// PaymentNotice handles the provider's server-to-server notice, which is the truth about a payment. It is checked
// for signature, reference and amount, and may come late, twice or never.
func (p *Portal) PaymentNotice(ctx context.Context, query url.Values) []byte {
	res, err := p.Provider.ParseNotice(query)
	if err != nil {
		p.Log.WarnContext(ctx, "a payment notice was refused", slog.Any("error", err))
		return p.Provider.Reply(replySignature, "Invalid signature")
	}
	code, err := p.settle(ctx, res, "notice")
	if err != nil {
		p.Log.ErrorContext(ctx, "a payment notice could not be kept; the provider will repeat it", slog.Any("error", err))
		return p.Provider.Reply(replyError, "Try again")
	}
	return p.Provider.Reply(code, map[string]string{replyOK: "Confirmed", replyUnknown: "Order not found", replyRepeated: "Already confirmed", replyAmount: "Invalid amount"}[code])
}

// settle applies a provider's word to a payment, once, in one transaction with the message to the agency. The notice
// and the browser that comes back often arrive together: whoever was second looks again and finds it done.
func (p *Portal) settle(ctx context.Context, res PaymentResult, kind string) (code string, err error) {
	for range 3 {
		if code, err = p.settleOnce(ctx, res, kind); !errs.Is(err, errs.Conflict) {
			break
		}
	}
	return code, err
}

func (p *Portal) settleOnce(ctx context.Context, res PaymentResult, kind string) (code string, err error) {
	err = p.Store.InTx(ctx, func(tx PortalTx) error {
		pay, err := tx.Payment(ctx, res.Reference)
		if errs.Is(err, errs.NotFound) {
			code = replyUnknown
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case pay.State == PayConfirmed:
			code = replyRepeated
			return nil
		case res.Amount != pay.Amount:
			code = replyAmount
			pay.UpdatedAt = p.Now()
			return tx.UpdatePayment(ctx, &pay, kind+".wrong_amount", fmt.Sprint(res.Amount))
		case !slices.Contains(paymentMoves[pay.State], res.State):
			code = replyRepeated
			return nil
		}
		code = replyOK
		pay.State, pay.UpdatedAt = res.State, p.Now()
		if err := tx.UpdatePayment(ctx, &pay, kind+"."+string(res.State), res.Transaction); err != nil {
			return err
		}
		if res.State != PayConfirmed {
			return nil
		}
		return p.paid(ctx, tx, pay, res)
	})
	return code, err
}

// paid sends the good news to the agency, behind the filing, which may have waited for it.
func (p *Portal) paid(ctx context.Context, tx PortalTx, pay Payment, res PaymentResult) error {
	f, err := tx.Filing(ctx, pay.FilingID)
	if err != nil {
		return err
	}
	if f.Sync == SyncHeld {
		f.Sync = SyncQueued
		if err := tx.UpdateFiling(ctx, &f); err != nil {
			return err
		}
		if err := p.postFiling(ctx, tx, f); err != nil {
			return err
		}
	}
	return p.postMessage(ctx, tx, f, Message{
		ID: "payment:" + pay.Reference, FilingID: f.ID, Kind: "payment", At: p.Now(),
		Payment: &PaymentFact{Reference: pay.Reference, Provider: p.Provider.Name(), Amount: pay.Amount, PaidAt: res.PaidAt},
	})
}

// reconcile asks the provider about one open payment.
func (p *Portal) reconcile(ctx context.Context, pay Payment) error {
	res, err := p.Provider.Query(ctx, pay.Reference, pay.CreatedAt)
	if errs.Is(err, errs.NotFound) { // the browser never reached the provider
		if p.Now().Sub(pay.CreatedAt) < paymentLife {
			return nil
		}
		res = PaymentResult{Reference: pay.Reference, Amount: pay.Amount, State: PayExpired}
	} else if err != nil {
		return err
	}
	if res.State == PayStarted || res.State == PayCreated {
		if p.Now().Sub(pay.CreatedAt) < 2*paymentLife {
			return nil
		}
		res.State, res.Amount = PayExpired, pay.Amount
	}
	_, err = p.settle(ctx, res, "query")
	return err
}

// Reconcile asks the provider about payments whose outcome is not known a minute after they began. It runs
// regularly: a notice that never comes must not cost anybody a fee paid twice.
func (p *Portal) Reconcile(ctx context.Context) error {
	open, err := p.Store.OpenPayments(ctx, p.Now().Add(-time.Minute))
	if err != nil {
		return err
	}
	for _, pay := range open {
		if err := p.reconcile(ctx, pay); err != nil {
			p.Log.WarnContext(ctx, "the payment provider did not answer a query", slog.Any("error", err))
		}
	}
	return nil
}
