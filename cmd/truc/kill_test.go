package main

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"truc/cmd/truc/internal/demo"
)

// TestKillAnyNodeAtAnyStep tells the story while nodes die, each before, during and after steps, and then reads the
// ledgers: nothing acknowledged is lost and nothing happened twice.
func TestKillAnyNodeAtAnyStep(t *testing.T) {
	if testing.Short() {
		t.Skip("starts networks")
	}
	nodes := []string{"G22", "G01", "G15", "H36"}
	phases := []string{"before", "during", "after"}
	t.Run("in turn", func(t *testing.T) {
		killStory(t, portsKill, func(step int) []strike {
			return []strike{{nodes[step%len(nodes)], phases[step%len(phases)], 15 * time.Millisecond}}
		})
	})
	t.Run("at random", func(t *testing.T) {
		r := rand.New(rand.NewPCG(20261121, 1)) // a schedule that can be repeated
		killStory(t, portsRandom, func(int) []strike {
			var out []strike
			for range 1 + r.IntN(2) {
				out = append(out, strike{nodes[r.IntN(len(nodes))], phases[r.IntN(len(phases))], time.Duration(r.IntN(80)) * time.Millisecond})
			}
			return out
		})
	})
}

// strike is the death of a node at a moment of a step.
type strike struct {
	node, phase string
	// delay is how long a step runs before the node dies "during" it.
	delay time.Duration
}

func killStory(t *testing.T, ports int, schedule func(step int) []strike) {
	t.Helper()
	var out safeBuffer
	n, err := startNetwork(demo.Options{Dir: t.TempDir(), BasePort: ports}, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	defer n.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	tale, err := n.Tale(&out)
	if err != nil {
		t.Fatal(err)
	}
	kill := func(s strike) {
		if err := n.Kill(s.node); err != nil {
			t.Error(err)
		}
	}
	for i, step := range tale.Steps {
		strikes := schedule(i)
		var timers []*time.Timer
		for _, s := range strikes {
			switch s.phase {
			case "before":
				kill(s)
			case "during":
				timers = append(timers, time.AfterFunc(s.delay, func() { kill(s) }))
			}
		}
		begin := time.Now()
		first, err := patiently(ctx, n, step)
		for _, timer := range timers {
			if timer.Stop() { // the step was faster than the strike
				kill(strike{node: strikes[0].node})
			}
		}
		if err != nil {
			t.Fatalf("step %d, %s, %v: %v (at first: %v)\n%s", i+1, step.About, strikes, err, first, out.String())
		}
		for _, s := range strikes {
			if s.phase == "after" {
				kill(s)
			}
		}
		t.Logf("%4.1f s  %v  %s; first answer: %v", time.Since(begin).Seconds(), strikes, step.About, first)
	}
	if err := n.Await(ctx); err != nil {
		t.Fatal(err)
	}
	if err := n.Settled(ctx); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	noFaults(t, n)
	n.Stop()
	checkLedgers(t, n, tale)
}

// patiently does what a person does whose page did not come: wait, reload, press again. Three times is the most that
// anybody should need once everything serves again.
func patiently(ctx context.Context, n *demo.Network, step demo.Step) (first, err error) {
	for range 4 {
		if err = step.Run(ctx); err == nil {
			return first, nil
		}
		if first == nil {
			first = err
		}
		if wait := n.Await(ctx); wait != nil {
			return first, wait
		}
	}
	return first, err
}
