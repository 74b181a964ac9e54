package axisstore_test

import (
	"testing"
	"time"

	"truc/internal/documents/axis"
)

// TestOpenedByAPerson: a desk tells that a copy was opened; once, and only its receiver's desk.
func TestOpenedByAPerson(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		c.mustSubmit(t, province, letter("08", "G98"))
		id := c.list(t, ministry)[0].ID
		if n, key := code(c.Opened(t.Context(), province, id)); n != axis.CodeRequest || key != "axis.message_unknown" {
			t.Errorf("a stranger: %d %s", n, key)
		}
		if n, _ := code(c.Opened(t.Context(), ministry, "unknown")); n != axis.CodeRequest {
			t.Errorf("an unknown copy: %d", n)
		}
		for range 2 {
			if err := c.Opened(t.Context(), ministry, id); err != nil {
				t.Fatal(err)
			}
			c.sleep(time.Minute)
		}
		if c.row(t, id).Opened.IsZero() {
			t.Error("the copy does not say that it was opened")
		}
		n := 0
		for _, f := range c.facts {
			if f.Event == axis.EvOpened {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d receipts for the opening; want 1", n)
		}
	})
}
