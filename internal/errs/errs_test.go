package errs

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestKindAndKeySurviveWrapping(t *testing.T) {
	cause := errors.New("disk on fire")
	f := func() (err error) {
		defer Wrap(&err, "store %q", "x")
		return fmt.Errorf("deeper: %w", E(Conflict, "a.changed", cause, "n", 3))
	}
	err := f()
	if KindOf(err) != Conflict || !Is(err, Conflict) || !errors.Is(err, cause) {
		t.Errorf("kind %v of %v", KindOf(err), err)
	}
	if key, args := KeyOf(err); key != "a.changed" || len(args) != 2 {
		t.Errorf("KeyOf() = %q, %v", key, args)
	}
	if !strings.HasPrefix(err.Error(), `store "x": deeper: a.changed: disk on fire`) {
		t.Errorf("Error() = %q", err)
	}
	if key, _ := KeyOf(cause); key != "error.internal" || KindOf(cause) != Internal {
		t.Errorf("a foreign error shows %q", key)
	}
	if Is(nil, Internal) {
		t.Error("no error is of a kind")
	}
}

func TestStatusesAreTheirOwnInverse(t *testing.T) {
	for k := Internal; k <= Limited; k++ {
		if got := KindOfStatus(k.Status()); got != k {
			t.Errorf("KindOfStatus(%d) = %v; want %v", k.Status(), got, k)
		}
	}
	for status, want := range map[int]Kind{http.StatusBadGateway: Unavailable, http.StatusGatewayTimeout: Unavailable, http.StatusUnprocessableEntity: Invalid, 599: Internal} {
		if got := KindOfStatus(status); got != want {
			t.Errorf("KindOfStatus(%d) = %v; want %v", status, got, want)
		}
	}
}
