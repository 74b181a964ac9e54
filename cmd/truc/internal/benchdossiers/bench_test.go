package benchdossiers

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRun looks at the shape of a report, never at a speed.
func TestRun(t *testing.T) {
	opt := Options{N: 20, Workers: 3, Paper: 3000, Dir: t.TempDir(), DB: os.Getenv("TRUC_TEST_POSTGRES"), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	engines := []string{"sqlite"}
	if opt.DB != "" {
		engines = append(engines, "postgres")
	} else if os.Getenv("CI") != "" {
		t.Fatal("TRUC_TEST_POSTGRES is not set; in CI both engines are measured")
	}
	report, err := Run(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Procedure         string
		Dossiers, Workers int
		Real, NotReal     []string
		Engines           []struct {
			Engine, Durability                          string
			DossiersPerSecond, ActionsSeconds           *float64
			CPUMsPerDossier                             *float64 `json:"cpuMsPerDossier"`
			PeakRSSBytes                                *int64   `json:"peakRssBytes"`
			DatabaseBytesPerDossier, LogBytesPerDossier float64
			Actions                                     []struct {
				Name         string
				Count        int
				P50Ms, P99Ms float64
			}
			CommitsPerDossier map[string]float64
			Tables            []struct {
				Table           string
				RowsPerDossier  float64
				BytesPerDossier float64
			}
			Outbox struct {
				Performed, Waiting, Dead, Notices int
				Drained                           bool
			}
			Baselines []struct {
				Name              string
				CommitsPerDossier int
				DossiersPerSecond float64
				Ratio             float64
			}
		}
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Procedure != procedureCode || got.Dossiers != 20 || got.Workers != 3 || len(got.Real) == 0 || len(got.NotReal) == 0 {
		t.Errorf("head of the report = %+v", got)
	}
	var names []string
	for _, e := range got.Engines {
		names = append(names, e.Engine)
		if e.Durability == "" || e.DossiersPerSecond == nil || *e.DossiersPerSecond <= 0 || e.CPUMsPerDossier == nil || e.PeakRSSBytes == nil {
			t.Errorf("%s: figures are missing: %s", e.Engine, b)
		}
		if e.DatabaseBytesPerDossier < 3000 || e.LogBytesPerDossier <= 0 {
			t.Errorf("%s: %v bytes stored in the database and %v in the log, want more than the paper", e.Engine, e.DatabaseBytesPerDossier, e.LogBytesPerDossier)
		}
		var actions []string
		for _, a := range e.Actions {
			actions = append(actions, a.Name)
			if a.Count != 20 || a.P50Ms <= 0 || a.P99Ms < a.P50Ms {
				t.Errorf("%s: action %+v, want 20 of them and p99 not below p50", e.Engine, a)
			}
		}
		if diff := cmp.Diff(steps, actions); diff != "" {
			t.Errorf("%s: actions (-want +got):\n%s", e.Engine, diff)
		}
		for _, s := range e.Tables {
			if s.RowsPerDossier <= 0 || s.BytesPerDossier <= 0 {
				t.Errorf("%s: nothing stored in %s", e.Engine, s.Table)
			}
		}
		if !e.Outbox.Drained || e.Outbox.Performed == 0 || e.Outbox.Notices == 0 || e.Outbox.Dead != 0 {
			t.Errorf("%s: outbox = %+v", e.Engine, e.Outbox)
		}
		if e.CommitsPerDossier["desk"] < float64(len(steps)) {
			t.Errorf("%s: %v commits of the desk, want one for each action at least", e.Engine, e.CommitsPerDossier["desk"])
		}
		if len(e.Baselines) != 2 || e.Baselines[0].Ratio <= 0 {
			t.Errorf("%s: baselines = %+v", e.Engine, e.Baselines)
		}
	}
	if diff := cmp.Diff(engines, names); diff != "" {
		t.Errorf("engines (-want +got):\n%s", diff)
	}
	var table bytes.Buffer
	if err := report.Print(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Not real:", "p99 ms", "sign", "baseline"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, table.String())
		}
	}
}
