package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"truc/internal/exchange"
	"truc/internal/orgcode"
)

// A node whose disk has less than the reserve runs, says what is wrong, and neither asks nor answers.
func TestDiskBelowTheReserve(t *testing.T) {
	cfg := alone(t, with(modules[slices.IndexFunc(modules, func(m module) bool { return m.name == "exchange" })]))
	cfg.Evidence.ReserveMiB = 1 << 40 // no disk has an exbibyte
	ctx, cancel := context.WithCancel(t.Context())
	node, err := Start(ctx, Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()
	defer func() { cancel(); <-done }()
	<-node.Ready()
	if status, body := fetch(t, cfg.Web.URL+"/readyz"); status != 503 || !strings.Contains(body, "exchange.diag.space_none") {
		t.Errorf("/readyz = %d %s", status, body)
	}
	if status, body := fetch(t, cfg.Web.URL+"/status"); status != 503 || !strings.Contains(body, `"name":"log_space","light":"bad"`) {
		t.Errorf("/status = %d %s", status, body)
	}
	from, err := orgcode.ParseSubsystem(cfg.subsystems()[0])
	if err != nil {
		t.Fatal(err)
	}
	size := node.evidence.Size()
	_, err = node.exchange.Call(ctx, exchange.Call{From: from, To: orgcode.Service{Instance: from.Instance, Class: from.Class, Member: from.Member, Subsystem: from.Code, Code: "listMethods"}})
	var f *exchange.Fault
	if !errors.As(err, &f) || f.Type != "server.clientproxy.logging_failed" || node.evidence.Size() != size {
		t.Errorf("a call with a full disk: %v", err)
	}
}
