package services

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"truc/internal/errs"
)

// raceStore answers the first transaction as a store does whose row was changed by somebody else meanwhile.
type raceStore struct {
	PortalStore
	conflicts, calls int
}

func (s *raceStore) InTx(_ context.Context, f func(tx PortalTx) error) error {
	s.calls++
	if s.calls <= s.conflicts {
		return errs.E(errs.Conflict, "services.payment.changed", nil)
	}
	return f(paidTx{})
}

// paidTx knows one payment, which the other side of the race has confirmed.
type paidTx struct{ PortalTx }

func (paidTx) Payment(context.Context, string) (Payment, error) {
	return Payment{Reference: "R1", Amount: 16000, State: PayConfirmed}, nil
}

type trustingProvider struct{ Provider }

func (trustingProvider) ParseNotice(map[string][]string) (PaymentResult, error) {
	return PaymentResult{Reference: "R1", Amount: 16000, State: PayConfirmed}, nil
}

func (trustingProvider) Reply(code, _ string) []byte { return []byte(code) }

func TestPaymentNoticeInARace(t *testing.T) {
	for conflicts, want := range map[int]string{0: replyRepeated, 1: replyRepeated, 2: replyRepeated, 9: replyError} {
		store := &raceStore{conflicts: conflicts}
		var log strings.Builder
		p := &Portal{Store: store, Provider: trustingProvider{}, Now: time.Now, Log: slog.New(slog.NewTextHandler(&log, nil))}
		if got := string(p.PaymentNotice(t.Context(), nil)); got != want {
			t.Errorf("PaymentNotice after %d conflicts = %s; want %s", conflicts, got, want)
		}
		if logged := strings.Contains(log.String(), "ERROR"); logged != (want == replyError) {
			t.Errorf("after %d conflicts the log says: %s", conflicts, log.String())
		}
	}
}
