package app

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"truc/internal/alarm"
	"truc/internal/alarm/alarmstore"
	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/exchangestore"
	"truc/internal/web/manage"
)

// alarmRound is the time between two looks at the node.
const alarmRound = 30 * time.Second

// startAlarms has what the diagnostics find told to people elsewhere.
func (n *Node) startAlarms(ctx context.Context) error {
	if n.diagnostics == nil {
		return nil
	}
	if err := n.migrate(ctx, "alarm", alarmstore.Migrations, "migrations"); err != nil {
		return err
	}
	channels, err := n.alarmChannels()
	if err != nil {
		return err
	}
	n.alarms = &alarm.Service{
		Store: &alarmstore.Store{DB: n.db, Owner: n.cfg.ServerID()}, Channels: channels, Timing: n.cfg.Alarms.timing(), Node: n.cfg.ServerID(), Now: n.now, Log: n.log,
	}
	n.relay.Handlers[alarm.Topic] = n.alarms.Handler // also for what was left when a channel was configured
	if len(channels) > 0 {
		n.every("alarms", alarmRound, n.lookForAlarms)
	}
	return n.declareAlarms()
}

// lookForAlarms looks at the node once.
func (n *Node) lookForAlarms(ctx context.Context) error {
	var found []alarm.Finding
	for _, f := range n.diagnostics.Look(ctx).Findings {
		if f.Light != exchange.LightGood {
			found = append(found, alarm.Finding{Name: f.Name, Bad: f.Light == exchange.LightBad, Key: f.Key, Args: f.Args, Todo: f.Todo})
		}
	}
	if err := ctx.Err(); err != nil {
		return err // what was found while the node ends is not to be believed
	}
	return n.alarms.Look(ctx, found)
}

// checkIncidents finds what must not happen: a log with two histories, damage. It is told for a day; the page keeps it.
func (n *Node) checkIncidents(ctx context.Context) []exchange.Finding {
	f := exchange.Finding{Name: "incidents", Light: exchange.LightGood, Key: "exchange.diag.incidents_none"}
	list, err := (&exchangestore.Notary{DB: n.db, Now: n.now}).Incidents(ctx)
	if err != nil {
		return nil // the database has a finding of its own
	}
	fresh := 0
	for _, i := range list {
		if n.now().Sub(i.Last) < 24*time.Hour {
			fresh++
		}
	}
	if fresh > 0 {
		f.Light, f.Key, f.Args, f.Todo = exchange.LightBad, "exchange.diag.incidents_some", []any{"n", fresh}, "exchange.diag.incidents_todo"
	}
	return []exchange.Finding{f}
}

type alarmCondition struct {
	Name  string    `json:"name"`
	Light string    `json:"light" enum:"warn,bad"`
	Text  string    `json:"text"`
	Since time.Time `json:"since"`
	Told  time.Time `json:"told" doc:"when people were told; year 1 when they were not yet"`
}

type alarmState struct {
	Channels []string         `json:"channels" doc:"where alarms go: mail, webhook"`
	Items    []alarmCondition `json:"items"`
}

type alarmResult struct {
	Channel string `json:"channel"`
	Sent    bool   `json:"sent"`
	Fault   string `json:"fault"`
}

type alarmTest struct {
	Items []alarmResult `json:"items"`
}

// declareAlarms adds the operations.
func (n *Node) declareAlarms() error {
	return errors.Join(
		manage.Handle(n.manage, manage.Operation{
			Method: "GET", Path: "/api/exchange/alarms", ID: "listAlarms", Tag: "monitoring", Summary: "What is not well, and whether people were told",
			Roles: []manage.Role{manage.System, manage.Security},
		}, func(ctx context.Context, _ struct{}) (alarmState, error) {
			out := alarmState{Channels: slices.Sorted(maps.Keys(n.alarms.Channels)), Items: []alarmCondition{}}
			if out.Channels == nil {
				out.Channels = []string{}
			}
			list, err := n.alarms.Conditions(ctx)
			for _, c := range list {
				one := alarmCondition{Name: c.Finding.Name, Light: exchange.LightWarn, Text: n.messages.T(n.cfg.Alarms.lang(), c.Finding.Key, c.Finding.Args...), Since: c.Since, Told: c.ToldAt}
				if c.Finding.Bad {
					one.Light = exchange.LightBad
				}
				out.Items = append(out.Items, one)
			}
			return out, err
		}),
		manage.Handle(n.manage, manage.Operation{
			Method: "POST", Path: "/api/exchange/alarms/test", ID: "testAlarms", Tag: "monitoring", Summary: "Send a test message through every channel now",
			Roles: []manage.Role{manage.System}, Act: "exchange.alarm.test",
		}, func(ctx context.Context, _ struct{}) (alarmTest, error) {
			out := alarmTest{}
			if len(n.alarms.Channels) == 0 {
				return out, errs.E(errs.Conflict, "alarm.not_configured", nil)
			}
			results := n.alarms.Test(ctx)
			for _, name := range slices.Sorted(maps.Keys(results)) {
				r := alarmResult{Channel: name, Sent: results[name] == nil}
				if !r.Sent {
					r.Fault = alarmError(results[name])
				}
				out.Items = append(out.Items, r)
			}
			return out, nil
		}),
	)
}
