package e2e

import (
	"encoding/csv"
	"strconv"
	"strings"
	"testing"
)

// counted is a number of an overview with the address of its list.
type counted struct{ Name, Text, URL string }

// TestOversight opens every number of an agency: the list behind it has as many lines, and so has its file.
func TestOversight(t *testing.T) {
	n := Demo(t)
	c := n.AsCitizen(t, n.Person(t, "c-thuyen").Name)
	_, number := c.File(extractCode, "H36.14", extractAnswers())
	o := Open(t, n.Center.URL+"/oversight/H36/waiting")
	o.Until("the dossier in the list of those waiting", func() bool { return o.Has(number) })
	if o.Has("Rơ Ông Ha Thuyên") {
		t.Error("a public list names a person")
	}
	o.check("oversight-list")
	o.Go("/oversight")
	o.check("oversight")
	o.Go(o.link("/oversight/H36"))
	o.check("oversight-agency")
	numbers := Value[[]counted](o, `[...new Map([...document.querySelectorAll('a[data-count]')].map(a =>
		[a.pathname + a.search, {Name: a.dataset.count, Text: a.textContent.trim(), URL: a.pathname + a.search}])).values()]`)
	if len(numbers) < 5 {
		t.Fatalf("the page of Lâm Đồng opens %d lists", len(numbers))
	}
	seen := map[string]bool{}
	for _, x := range numbers {
		if seen[x.Name] {
			continue
		}
		seen[x.Name] = true
		o.Go(x.URL)
		want := digits(x.Text)
		if strings.Contains(x.Text, "%") { // a rate opens the list of what it counts
			want = digits(o.Text("h1 [data-count]"))
		}
		rows := Value[int](o, "document.querySelectorAll('[data-item]').length")
		if o.link("page=") == "" && rows != want {
			t.Errorf("%s says %d and lists %d lines: %s", x.Name, want, rows, x.URL)
		}
		if got := csvRows(t, o); got != want {
			t.Errorf("%s says %d and its file has %d lines: %s", x.Name, want, got, x.URL)
		}
	}
	o.Go("/oversight/definitions")
	o.check("oversight-definitions")
}

func digits(s string) int {
	n, _ := strconv.Atoi(strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s))
	return n
}

// csvRows downloads the page's list as a file and counts its lines without the heading.
func csvRows(t *testing.T, o *Tab) int {
	t.Helper()
	b, header := o.fetch(o.link(".csv"))
	if got := header.Get("Content-Type"); !strings.HasPrefix(got, "text/csv") {
		t.Errorf("the file is %q", got)
	}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(b), "\ufeff")))
	r.Comment, r.FieldsPerRecord = '#', -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatalf("the file does not read as CSV: %v\n%s", err, clip(string(b), 400))
	}
	return len(rows) - 1
}
