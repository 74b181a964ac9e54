package registers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"truc/internal/errs"
)

const (
	ha   = "099190000101"
	bao  = "099088000102"
	baby = "099319000103"
	old  = "099048000107"
	dead = "099040000111"
)

func people() []Draft {
	person := func(id, name, born string, more Values) Draft {
		v := Values{
			"personalId": id, "fullName": name, "birthDate": born, "permanentResidence.provinceCode": "68", "ethnicity": "Kinh",
			"permanentResidence.full": "18 đường Trần Phú",
		}
		maps.Copy(v, more)
		return Draft{Values: v, ValidFrom: "2020-01-01", Basis: "test"}
	}
	out := []Draft{
		person(ha, "Nguyễn Thị Thu Hà", "1990-04-12", Values{"spouse.personalId": bao, "spouse.fullName": "Trần Quốc Bảo", "contact.phone": "0950000101"}),
		person(bao, "Trần Quốc Bảo", "1988-11-30", nil),
		person(baby, "Trần Nguyễn Minh Anh", "2019-06-01", Values{"mother.personalId": ha, "mother.fullName": "Nguyễn Thị Thu Hà"}),
		person(old, "K'Brết", "1948", nil),
		person(dead, "Phan Văn Tựu", "1940-01-08", Values{"deathDate": "2025-12-03"}),
	}
	for i := range 11 { // eleven of one name and day
		out = append(out, person(fmt.Sprintf("0990900001%02d", 20+i), "Nguyễn Văn An", "1990-01-01", nil))
	}
	return out
}

func marriage() Draft {
	return Draft{ValidFrom: "2015-01-10", Basis: "test", Values: Values{
		"eventNumber": "KH-24781-2015-00001", "kind": "marriage", "registeredOn": "2015-01-10", "place.provinceCode": "68",
		"subject.personalId": bao, "subject.fullName": "Trần Quốc Bảo", "subject.birthDate": "1988-11-30",
		"spouse.personalId": ha, "spouse.fullName": "Nguyễn Thị Thu Hà", "spouse.birthDate": "1990-04-12",
	}}
}

type fixture struct {
	svc   *Service
	store *memory
	log   *logbook
}

func newFixture(t testing.TB) fixture {
	t.Helper()
	f := fixture{store: newMemory(), log: &logbook{}}
	f.svc = &Service{Schemas: builtin(t), Store: f.store, Log: f.log, Now: fixedNow, TagKey: []byte("k")}
	for register, drafts := range map[string][]Draft{"population": people(), "civilstatus": {marriage()}} {
		if _, err := f.svc.Append(t.Context(), register, drafts); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

var desk = Reader{Subsystem: "VN/GOV/H36/onestop", Agency: "H36", AgencyName: "Lâm Đồng", Activity: "verify-dossier", Dossier: "H36-1", ExchangeID: "x1"}

func portal(user string) Reader {
	return Reader{Subsystem: "VN/GOV/G22/portal", Agency: "G22", UserID: "VN" + user, Activity: "prefill", Basis: "Điều 15", Dossier: "draft-1"}
}

func q(typ, fields string, criteria ...string) Query {
	out := Query{Selection: Selection{Type: typ, Criteria: map[string]string{}}}
	if fields != "" {
		out.Fields = strings.Split(fields, " ")
	}
	for i := 0; i+1 < len(criteria); i += 2 {
		out.Criteria[criteria[i]] = criteria[i+1]
	}
	return out
}

func TestQuery(t *testing.T) {
	tests := []struct {
		name     string
		register string
		who      Reader
		q        Query
		change   func(*Query)
		want     string // names found, or the key of the error
		lines    int
	}{
		{name: "number and name without accents", who: desk, q: q("ByPersonalId", "fullName", "personalId", ha, "fullName", "nguyen thi thu ha"), want: "Nguyễn Thị Thu Hà", lines: 1},
		{name: "number and birth date", who: desk, q: q("ByPersonalId", "fullName", "personalId", ha, "birthDate", "1990-04-12"), want: "Nguyễn Thị Thu Hà", lines: 1},
		{name: "number alone", who: desk, q: q("ByPersonalId", "fullName", "personalId", ha), want: "registers.params_invalid"},
		{name: "number with the wrong date", who: desk, q: q("ByPersonalId", "fullName", "personalId", ha, "birthDate", "1990-04-13"), want: ""},
		{name: "number with one right and one wrong factor", who: desk, q: q("ByPersonalId", "fullName", "personalId", ha, "birthDate", "1990-04-12", "fullName", "Lê Lan"), want: ""},
		{name: "number with the year only", who: desk, q: q("ByPersonalId", "fullName", "personalId", ha, "birthDate", "1990"), want: ""},
		{name: "elder with a full date asked", who: desk, q: q("ByNameAndBirthDate", "fullName", "fullName", "k'bret", "birthDate", "1948-05-19"), want: "K'Brết", lines: 1},
		{name: "name and date", who: desk, q: q("ByNameAndBirthDate", "fullName", "fullName", "TRẦN QUỐC BẢO", "birthDate", "1988-11-30"), want: "Trần Quốc Bảo", lines: 1},
		{name: "beginning of a name", who: desk, q: q("ByNameAndBirthDate", "fullName", "fullName", "tran*", "birthDate", "1988-11-30"), want: "Trần Quốc Bảo", lines: 1},
		{name: "beginning too short", who: desk, q: q("ByNameAndBirthDate", "fullName", "fullName", "tr*", "birthDate", "1988-11-30"), want: "registers.params_invalid"},
		{name: "beginning as second factor", who: desk, q: q("ByPersonalId", "fullName", "personalId", ha, "fullName", "nguyen*"), want: "registers.params_invalid"},
		{name: "name alone", who: desk, q: q("ByNameAndBirthDate", "fullName", "fullName", "Trần Quốc Bảo"), want: "registers.params_invalid"},
		{name: "name, year, province", who: desk, q: q("ByNameBirthYearProvince", "fullName", "fullName", "Trần Quốc Bảo", "birthYear", "1988", "provinceCode", "68"), want: "Trần Quốc Bảo", lines: 1},
		{name: "other province", who: desk, q: q("ByNameBirthYearProvince", "fullName", "fullName", "Trần Quốc Bảo", "birthYear", "1988", "provinceCode", "46"), want: ""},
		{name: "phone and name", who: desk, q: q("ByPhoneAndName", "fullName", "phone", "0950000101", "fullName", "Nguyễn Thị Thu Hà"), want: "Nguyễn Thị Thu Hà", lines: 1},
		{name: "unknown type", who: desk, q: q("ByShoeSize", "fullName"), want: "registers.params_invalid"},
		{name: "unknown criterion", who: desk, q: q("ByPersonalId", "fullName", "personalId", ha, "birthDate", "1990-04-12", "shoe", "38"), want: "registers.params_invalid"},
		{name: "eleven", who: desk, q: q("ByNameAndBirthDate", "fullName", "fullName", "Nguyễn Văn An", "birthDate", "1990-01-01"), want: "registers.too_many_results"},
		{name: "the dead stay hidden", who: desk, q: q("ByPersonalId", "fullName", "personalId", dead, "birthDate", "1940-01-08"), want: ""},
		{
			name: "the dead when asked for", who: desk, q: q("ByPersonalId", "fullName", "personalId", dead, "birthDate", "1940-01-08"),
			change: func(q *Query) { q.IncludeDeceased = true }, want: "Phan Văn Tựu", lines: 1,
		},
		{name: "no fields", who: desk, q: q("ByPersonalId", "", "personalId", ha, "birthDate", "1990-04-12"), want: "registers.params_invalid"},
		{name: "unknown field", who: desk, q: q("ByPersonalId", "shoe", "personalId", ha, "birthDate", "1990-04-12"), want: "registers.params_invalid"},
		{name: "field outside the policy", who: desk, q: q("ByPersonalId", "fullName ethnicity", "personalId", ha, "birthDate", "1990-04-12"), want: "registers.field_denied"},
		{name: "no purpose", who: Reader{Subsystem: "VN/GOV/H36/onestop"}, q: q("ByPersonalId", "fullName"), want: "registers.purpose_required"},
		{
			name: "neither dossier nor basis", who: Reader{Subsystem: "VN/GOV/H36/onestop", Activity: "verify-dossier"},
			q: q("ByPersonalId", "fullName"), want: "registers.purpose_required",
		},
		{
			name: "basis without the dossier", who: Reader{Subsystem: "VN/GOV/H36/onestop", Activity: "verify-dossier", Basis: "x"},
			q: q("ByPersonalId", "fullName"), want: "registers.dossier_required",
		},
		{
			name: "body names another purpose", who: desk, q: q("ByPersonalId", "fullName", "personalId", ha, "birthDate", "1990-04-12"),
			change: func(q *Query) { q.Context = &Context{Activity: "prefill"} }, want: "registers.purpose_mismatch",
		},
		{name: "unknown activity", who: Reader{Subsystem: "VN/GOV/H36/onestop", Activity: "marketing", Basis: "x"}, q: q("ByPersonalId", "fullName"), want: "registers.activity_unknown"},
		{name: "another system", who: Reader{Subsystem: "VN/GOV/H36/archive", Activity: "verify-dossier", Dossier: "1"}, q: q("ByPersonalId", "fullName"), want: "registers.recipient_denied"},
		{name: "nobody calls", q: q("ByPersonalId", "fullName"), want: "registers.caller_unknown"},
		{name: "own record", who: portal(ha), q: q("ByPersonalId", "fullName ethnicity", "personalId", ha, "birthDate", "1990-04-12"), want: "Nguyễn Thị Thu Hà", lines: 1},
		{name: "somebody else's record", who: portal(bao), q: q("ByPersonalId", "fullName", "personalId", ha, "birthDate", "1990-04-12"), want: ""},
		{name: "prefill for nobody", who: portal(""), q: q("ByPersonalId", "fullName", "personalId", ha, "birthDate", "1990-04-12"), want: "registers.self_only"},
		{name: "own record with spouse: two lines", who: portal(ha), q: q("ByPersonalId", "fullName spouse.fullName", "personalId", ha, "birthDate", "1990-04-12"), want: "Nguyễn Thị Thu Hà", lines: 2},
		{name: "event by person and kind", register: "civilstatus", who: desk, q: q("ByPersonAndKind", "eventNumber", "personalId", ha, "kind", "marriage", "birthDate", "1990-04-12"), want: "KH-24781-2015-00001", lines: 2},
		{name: "event with the date of the other party", register: "civilstatus", who: desk, q: q("ByPersonAndKind", "eventNumber", "personalId", ha, "kind", "marriage", "birthDate", "1988-11-30"), want: ""},
		{name: "event by number", register: "civilstatus", who: desk, q: q("ByEventNumber", "eventNumber", "eventNumber", "KH-24781-2015-00001", "fullName", "tran quoc bao"), want: "KH-24781-2015-00001", lines: 2},
		{name: "event number alone", register: "civilstatus", who: desk, q: q("ByEventNumber", "eventNumber", "eventNumber", "KH-24781-2015-00001"), want: "registers.params_invalid"},
		{name: "event by name of the wife", register: "civilstatus", who: desk, q: q("ByNameAndBirthDate", "eventNumber", "fullName", "Nguyen thi thu ha", "birthDate", "1990-04-12"), want: "KH-24781-2015-00001", lines: 2},
		{name: "own event of the wife", register: "civilstatus", who: portal(ha), q: q("ByPersonAndKind", "eventNumber", "personalId", ha, "kind", "marriage", "birthDate", "1990-04-12"), want: "KH-24781-2015-00001", lines: 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			register, field := "population", "fullName"
			if tt.register != "" {
				register, field = tt.register, "eventNumber"
			}
			if tt.change != nil {
				tt.change(&tt.q)
			}
			ans, err := f.svc.Query(t.Context(), register, tt.who, tt.q)
			got := make([]string, 0, len(ans.Records))
			for _, r := range ans.Records {
				name, _ := r[field].(string)
				got = append(got, name)
			}
			if err != nil {
				key, _ := errs.KeyOf(err)
				got = append(got, key)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, ", ")); diff != "" {
				t.Errorf("Query (-want +got), err %v:\n%s", err, diff)
			}
			if len(f.log.lines) != tt.lines {
				t.Errorf("lines = %d; want %d", len(f.log.lines), tt.lines)
			}
			if err == nil && len(ans.Records) == 0 && (len(f.store.reads) != 1 || f.store.reads[0].Missed != 1) {
				t.Errorf("a miss was counted as %+v", f.store.reads)
			}
		})
	}
}

func TestLineContent(t *testing.T) {
	f := newFixture(t)
	if _, err := f.svc.Query(t.Context(), "population", portal(ha), q("ByPersonalId", "fullName birthDate spouse.fullName", "personalId", ha, "birthDate", "1990-04-12")); err != nil {
		t.Fatal(err)
	}
	base := Access{
		Time: testDay, SubjectID: ha, Agency: "G22", Subsystem: "VN/GOV/G22/portal", Register: "population", Activity: "prefill",
		Purpose: "Điền sẵn tờ khai theo yêu cầu của chính người dân", LegalBasis: "Điều 15", Dossier: "draft-1", Kind: KindQuery,
		Fields: []string{"fullName", "birthDate", "spouse.fullName"},
	}
	spouse := base
	spouse.SubjectID, spouse.Fields = bao, []string{"spouse.fullName"}
	if diff := cmp.Diff([]Access{base, spouse}, f.log.lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// No line, no data: for every kind of read, when the log fails and when the count fails.
func TestFailsClosed(t *testing.T) {
	for _, broken := range []string{"log", "count"} {
		f := newFixture(t)
		if broken == "log" {
			f.log.err = errors.New("disk full")
		} else {
			f.store.failing = true
		}
		sel := q("ByPersonalId", "fullName", "personalId", ha, "birthDate", "1990-04-12")
		ans, err := f.svc.Query(t.Context(), "population", desk, sel)
		if !errs.Is(err, errs.Unavailable) || len(ans.Records) != 0 || len(ans.Delivered) != 0 {
			t.Errorf("%s: Query = %v, %v; want nothing and Unavailable", broken, ans, err)
		}
		m, err := f.svc.Match(t.Context(), "population", desk, sel.Selection, map[string]string{"sex": "male"})
		if !errs.Is(err, errs.Unavailable) || m != nil {
			t.Errorf("%s: Match = %v, %v; want nothing and Unavailable", broken, m, err)
		}
		ok, err := f.svc.Verify(t.Context(), "population", desk, sel.Selection, []Condition{{"birthDate", "<", "2000-01-01"}})
		if !errs.Is(err, errs.Unavailable) || ok {
			t.Errorf("%s: Verify = %v, %v; want false and Unavailable", broken, ok, err)
		}
	}
}

func TestMatchAndVerify(t *testing.T) {
	f := newFixture(t)
	sel := q("ByPersonalId", "", "personalId", ha, "fullName", "Nguyễn Thị Thu Hà").Selection
	got, err := f.svc.Match(t.Context(), "population", desk, sel, map[string]string{
		"birthDate": "1990-04-13", "fullName": "NGUYỄN thị Thu Hà", "maritalStatus": "married", "permanentResidence.full": "18 đường Trần Phú",
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Mismatch{{"birthDate", 1}, {"maritalStatus", 0}}, got); diff != "" {
		t.Errorf("Match (-want +got):\n%s", diff)
	}
	verify := []struct {
		c    Condition
		want bool
		key  string
	}{
		{Condition{"birthDate", "<=", "2008-11-21"}, true, ""},
		{Condition{"birthDate", ">", "2008"}, false, ""},
		{Condition{"permanentResidence.provinceCode", "=", "68"}, true, ""},
		{Condition{"fullName", "<", "Z"}, false, "registers.params_invalid"},
		{Condition{"ethnicity", "=", "Kinh"}, false, "registers.field_denied"},
		{Condition{"birthDate", "~", "2008"}, false, "registers.params_invalid"},
	}
	for _, tt := range verify {
		ok, err := f.svc.Verify(t.Context(), "population", desk, sel, []Condition{tt.c})
		key := ""
		if err != nil {
			key, _ = errs.KeyOf(err)
		}
		if ok != tt.want || key != tt.key {
			t.Errorf("Verify(%v) = %v, %q; want %v, %q", tt.c, ok, key, tt.want, tt.key)
		}
	}
	if len(f.log.lines) != 4 {
		t.Errorf("lines = %d; want one for the match and three for the verifies", len(f.log.lines))
	}
	sel.Criteria["fullName"] = "Lê Lan"
	if _, err := f.svc.Match(t.Context(), "population", desk, sel, map[string]string{"sex": "male"}); !errs.Is(err, errs.NotFound) {
		t.Errorf("Match with the wrong second factor = %v; want NotFound", err)
	}
	if _, err := f.svc.Match(t.Context(), "population", portal(ha), sel, map[string]string{"sex": "male"}); !errs.Is(err, errs.Denied) {
		t.Errorf("Match under prefill = %v; want Denied", err)
	}
}

func TestAppendRefuses(t *testing.T) {
	f := newFixture(t)
	good := people()[0]
	tests := []struct {
		name   string
		change func(*Draft)
		want   string
	}{
		{"no basis", func(d *Draft) { d.Basis = "" }, "registers.basis_missing"},
		{"no validity", func(d *Draft) { d.ValidFrom = "" }, "registers.date_invalid"},
		{"unknown field", func(d *Draft) { d.Values["shoe"] = "38" }, "registers.field_unknown"},
		{"wrong type", func(d *Draft) { d.Values["fullName"] = int64(1) }, "registers.value_invalid"},
		{"value outside the list", func(d *Draft) { d.Values["sex"] = "unknown" }, "registers.value_invalid"},
		{"impossible date", func(d *Draft) { d.Values["birthDate"] = "1990-02-30" }, "registers.value_invalid"},
		{"control character", func(d *Draft) { d.Values["fullName"] = "a\x00b" }, "registers.value_invalid"},
		{"no key", func(d *Draft) { delete(d.Values, "personalId") }, "registers.key_missing"},
		{"short number", func(d *Draft) { d.Values["personalId"] = "123" }, "registers.value_invalid"},
	}
	for _, tt := range tests {
		d := Draft{Values: Values{}, ValidFrom: good.ValidFrom, Basis: good.Basis}
		maps.Copy(d.Values, good.Values)
		tt.change(&d)
		_, err := f.svc.Append(t.Context(), "population", []Draft{good, d})
		if key, _ := errs.KeyOf(err); err == nil || key != tt.want {
			t.Errorf("%s: Append = %v; want %s", tt.name, err, tt.want)
		}
	}
	if n := len(f.store.entries["population"]); n != len(people()) {
		t.Errorf("entries = %d; a refused batch must leave none", n)
	}
}

// For any search: never more than ten records, only fields that were asked for and allowed, a line for the owner of
// every record delivered, and nothing at all without a second attribute.
func TestQueryProperties(t *testing.T) {
	f := newFixture(t)
	sch := f.svc.Schemas["population"]
	allFields := []string{"shoe"}
	for _, g := range sch.Groups {
		for _, x := range g.Fields {
			allFields = append(allFields, x.Name)
		}
	}
	values := map[string][]string{
		"personalId": {ha, bao, dead, "099000000000"}, "fullName": {"Nguyễn Thị Thu Hà", "tran quoc bao", "ngu*", "tran*", "nguyen van an"},
		"birthDate": {"1990-04-12", "1988-11-30", "1990-01-01", "1990", "x"}, "birthYear": {"1990", "1988"}, "provinceCode": {"68", "46"},
		"phone": {"0950000101"}, "sex": {"male"},
	}
	types := []string{"ByPersonalId", "ByOldIdNumber", "ByPhoneAndName", "ByNameAndBirthDate", "ByNameBirthYearProvince", "x"}
	rapid.Check(t, func(t *rapid.T) {
		f.log.lines = nil
		query := Query{Selection: Selection{Type: rapid.SampledFrom(types).Draw(t, "type"), Criteria: map[string]string{}}}
		for _, name := range []string{"personalId", "fullName", "birthDate", "birthYear", "provinceCode", "phone", "sex"} {
			if rapid.Bool().Draw(t, name) {
				query.Criteria[name] = rapid.SampledFrom(values[name]).Draw(t, name+" value")
			}
		}
		query.Fields = rapid.SliceOfN(rapid.SampledFrom(allFields), 0, 4).Draw(t, "fields")
		query.IncludeDeceased = rapid.Bool().Draw(t, "dead")
		who := rapid.SampledFrom([]Reader{desk, portal(ha), portal(bao), {}}).Draw(t, "who")
		ans, err := f.svc.Query(context.Background(), "population", who, query)
		if err != nil && (len(ans.Records) > 0 || len(f.log.lines) > 0) {
			t.Fatalf("an error came with data: %v", err)
		}
		if len(ans.Records) > MaxResults || len(ans.Records) != len(ans.Delivered) || len(ans.Records) > len(f.log.lines) {
			t.Fatalf("%d records, %d tags, %d lines", len(ans.Records), len(ans.Delivered), len(f.log.lines))
		}
		if len(ans.Records) > 0 && len(query.Criteria) < 2 {
			t.Fatal("one attribute disclosed something")
		}
		a, _ := sch.Activity(who.Activity)
		for _, r := range ans.Records {
			for name := range r {
				_, group, _ := sch.Field(name)
				if !slices.Contains(query.Fields, name) || !slices.Contains(a.Groups, group) {
					t.Fatalf("field %s was delivered unasked or not allowed", name)
				}
			}
		}
		if who.Activity == "prefill" && len(f.log.lines) > 0 && "VN"+f.log.lines[0].SubjectID != who.UserID {
			t.Fatal("prefill delivered somebody else")
		}
	})
}
