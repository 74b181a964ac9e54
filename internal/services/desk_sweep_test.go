package services_test

import (
	"testing"

	"truc/internal/services"
	"truc/internal/services/servicestest"
)

func TestAnUnansweredSupplementEndsTheDossier(t *testing.T) {
	on(t, func(t *testing.T, d *servicestest.Env) {
		number := submit(t, d, "f1")
		act(t, d, reception, number, services.ActionInput{Action: "receive"})
		act(t, d, officer, number, supplement)
		answered := submit(t, d, "f2")
		act(t, d, reception, answered, services.ActionInput{Action: "receive"})
		sweep := func(want int) {
			t.Helper()
			n, err := d.SweepSupplements(t.Context())
			if err != nil || n != want {
				t.Errorf("SweepSupplements() = %d, %v; want %d", n, err, want)
			}
		}
		d.Clock.Set(12, 17, 0) // the fifth working day, half an hour before its close
		sweep(0)
		d.Clock.Set(13, 9, 0)
		sweep(1)
		sweep(0) // once is enough
		v, err := d.View(t.Context(), officer, number, "vi")
		if err != nil {
			t.Fatal(err)
		}
		if v.State != "stopped" || !v.Final {
			t.Errorf("state = %q, final %v; want stopped for good", v.State, v.Final)
		}
		slip := false
		for _, doc := range v.Docs {
			slip = slip || doc.Kind == services.DocStop && doc.Public
		}
		if !slip {
			t.Error("the applicant gets no slip 05")
		}
		if v, err = d.View(t.Context(), officer, answered, "vi"); err != nil || v.State != "processing" {
			t.Errorf("a dossier nobody asked anything of is %q, %v; want processing", v.State, err)
		}
	})
}
