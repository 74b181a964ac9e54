package axisstore_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/documents/axis"
	"truc/internal/errs"
)

func TestSystems(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		form := axis.SystemForm{ID: "vidu.01", Name: "Hệ thống Ví Dụ", MayRegister: true, HashOptional: true, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
		secret, err := c.AddSystem(ctx, "quantri", form)
		if err != nil || len(secret) < 43 {
			t.Fatalf("AddSystem() = %q, %v", secret, err)
		}
		got, err := c.System(ctx, "vidu.01")
		if err != nil || !slices.Equal(got.Secrets, []string{secret}) || got.Window != axis.DefaultWindow || !got.MayRegister || !got.HashOptional || got.RefuseRepeats ||
			len(got.Addresses) != 1 || got.Addresses[0] != form.Addresses[0] || got.Party() != "vxp:vidu.01" {
			t.Errorf("System() = %+v, %v", got.System, err)
		}
		// The secret stands nowhere in clear: not in the table, not in what is printed or logged.
		var b bytes.Buffer
		slog.New(slog.NewTextHandler(&b, nil)).InfoContext(ctx, "system", slog.Any("system", got))
		fmt.Fprintf(&b, "%v %s %+v", got, got, got)
		stored, err := c.Store.System(ctx, "vidu.01")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%+v", stored)
		if strings.Contains(b.String(), secret) {
			t.Error("the secret can be read")
		}
		if _, err := c.AddSystem(ctx, "quantri", form); !errs.Is(err, errs.Conflict) {
			t.Errorf("the same system again = %v", err)
		}
		if _, err := c.System(ctx, "vidu.02"); !errs.Is(err, errs.NotFound) {
			t.Errorf("an unknown system = %v", err)
		}

		second, err := c.RotateSecret(ctx, "quantri", "vidu.01", time.Hour)
		if err != nil || second == secret {
			t.Fatalf("RotateSecret() = %v", err)
		}
		if got, err = c.System(ctx, "vidu.01"); err != nil || !slices.Equal(got.Secrets, []string{second, secret}) {
			t.Errorf("during the change: %d secrets, %v", len(got.Secrets), err)
		}
		c.sleep(time.Hour)
		if got, err = c.System(ctx, "vidu.01"); err != nil || !slices.Equal(got.Secrets, []string{second}) {
			t.Errorf("after the change: %d secrets, %v", len(got.Secrets), err)
		}
		third, err := c.RotateSecret(ctx, "quantri", "vidu.01", 0)
		if err != nil {
			t.Fatal(err)
		}
		form.Name, form.Window, form.MayRegister = "Tên mới", 48*time.Hour, false
		if err := c.ChangeSystem(ctx, "quantri", form); err != nil {
			t.Fatal(err)
		}
		if got, err = c.System(ctx, "vidu.01"); err != nil || !slices.Equal(got.Secrets, []string{third}) || got.Window != 48*time.Hour || got.MayRegister {
			t.Errorf("changed = %+v, %v", got.System, err)
		}
		if err := c.SuspendSystem(ctx, "quantri", "vidu.01", true); err != nil {
			t.Fatal(err)
		}
		if _, err := c.System(ctx, "vidu.01"); !errs.Is(err, errs.NotFound) {
			t.Errorf("a suspended system = %v", err)
		}
		if list, err := c.Systems(ctx); err != nil || len(list) != 1 || !list[0].Suspended {
			t.Errorf("Systems() = %+v, %v", list, err)
		}
		if err := c.SuspendSystem(ctx, "quantri", "vidu.01", false); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"add", "rotate", "change", "suspend", "resume"} {
			if !slices.Contains(c.acts, "quantri axis.system."+want+" vidu.01") {
				t.Errorf("%s is not in the audit log", want)
			}
		}
		// Another key does not open the secret, nor does another system's row.
		other := *c.Hub
		other.SealKey = bytes.Repeat([]byte{8}, 32)
		if got, err := other.System(ctx, "vidu.01"); err == nil {
			t.Errorf("another key opened %d secrets", len(got.Secrets))
		}
		if _, err := c.AddSystem(ctx, "quantri", axis.SystemForm{ID: "vidu.03", Name: "Khác"}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.db.ExecContext(ctx, `UPDATE axis_system SET sealed = (SELECT sealed FROM axis_system WHERE id = 'vidu.01') WHERE id = 'vidu.03'`); err != nil {
			t.Fatal(err)
		}
		if got, err := c.System(ctx, "vidu.03"); err == nil {
			t.Errorf("a secret of another row was taken: %d", len(got.Secrets))
		}
	})
}

func TestSystemFormsAreChecked(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		for name, f := range map[string]axis.SystemForm{
			"no id":       {Name: "Tên"},
			"bad id":      {ID: "ví dụ", Name: "Tên"},
			"header":      {ID: "a\r\nb", Name: "Tên"},
			"no name":     {ID: "a"},
			"no limit":    {ID: "a", Name: "Tên", Unlimited: true},
			"bad window":  {ID: "a", Name: "Tên", Window: -time.Hour},
			"bad address": {ID: "a", Name: "Tên", Addresses: []netip.Prefix{{}}},
		} {
			if _, err := c.AddSystem(t.Context(), "quantri", f); !errs.Is(err, errs.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := c.AddSystemWith(t.Context(), "quantri", axis.SystemForm{ID: "a", Name: "Tên"}, "short"); !errs.Is(err, errs.Invalid) {
			t.Errorf("a weak secret = %v", err)
		}
		if err := c.AddSystemWith(t.Context(), "quantri", axis.SystemForm{ID: "a", Name: "Tên"}, "truc-vector-secret-01"); err != nil {
			t.Fatal(err)
		}
		if got, err := c.System(t.Context(), "a"); err != nil || got.Secrets[0] != "truc-vector-secret-01" {
			t.Errorf("a secret from elsewhere: %v", err)
		}
	})
}
