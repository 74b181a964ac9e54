// Package alarmclient brings alarms out of the node: by mail (RFC 5321, with TLS) and by a signed webhook.
package alarmclient

import (
	"fmt"
	"strings"

	"truc/internal/alarm"
	"truc/internal/i18n"
)

// Words turns messages into sentences. They say what is wrong with the node, never who did what.
type Words struct {
	Catalogue *i18n.Catalogue
	// Lang is the language of mails; URL the page of the diagnostics.
	Lang, URL string
}

func (w Words) t(key string, args ...any) string { return w.Catalogue.T(w.Lang, key, args...) }

// Subject is one line.
func (w Words) Subject(m alarm.Message) string {
	if m.Test {
		return w.t("alarm.subject_test", "node", m.Node)
	}
	bad, over := 0, 0
	for _, e := range m.Events {
		if e.Phase == alarm.Ended {
			over++
		} else {
			bad++
		}
	}
	switch {
	case bad == 0:
		return w.t("alarm.subject_over", "node", m.Node, "n", over)
	case over == 0:
		return w.t("alarm.subject", "node", m.Node, "n", bad)
	}
	return w.t("alarm.subject_both", "node", m.Node, "n", bad, "over", over)
}

// Body is the text of a mail.
func (w Words) Body(m alarm.Message) string {
	var b strings.Builder
	if m.Test {
		fmt.Fprintf(&b, "%s\n", w.t("alarm.test", "node", m.Node))
	}
	for _, e := range m.Events {
		fmt.Fprintf(&b, "%s: %s\n", w.t("alarm.phase."+string(e.Phase)), w.name(e.Finding.Name))
		if e.Phase != alarm.Ended {
			fmt.Fprintf(&b, "  %s\n", w.sentence(e.Finding))
			if e.Finding.Todo != "" {
				fmt.Fprintf(&b, "  %s\n", w.t(e.Finding.Todo))
			}
		}
		fmt.Fprintf(&b, "  %s\n\n", w.t("alarm.since", "at", i18n.DateTime(e.Since)))
	}
	fmt.Fprintf(&b, "%s\n", w.t("alarm.foot", "node", m.Node, "at", i18n.DateTime(m.At), "url", w.URL))
	return b.String()
}

func (w Words) name(name string) string {
	const names = "exchange.diag.name."
	if w.Catalogue.Has(w.Lang, names+name) {
		return w.t(names + name)
	}
	return name
}

func (w Words) sentence(f alarm.Finding) string { return w.t(f.Key, f.Args...) }
