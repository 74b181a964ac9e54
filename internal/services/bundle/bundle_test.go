package bundle

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/pdfdoc"
)

func TestFlowNext(t *testing.T) {
	p, _ := loadBase(t)
	for _, tt := range []struct {
		state, previous, action string
		want                    Step
		kind                    errs.Kind
	}{
		{state: "new", action: "receive", want: Step{To: "open"}},
		{state: "open", action: "askMore", want: Step{To: "waiting", Previous: "open"}},
		{state: "waiting", previous: "open", action: "supplied", want: Step{To: "open"}},
		{state: "waiting", action: "supplied", kind: errs.Conflict},
		{state: "open", action: "receive", kind: errs.Conflict},
		{state: "open", action: "fly", kind: errs.NotFound},
	} {
		got, err := p.Flow.Next(tt.state, tt.previous, tt.action)
		if got != tt.want || err != nil && errs.KindOf(err) != tt.kind || err == nil && tt.kind != 0 {
			t.Errorf("Next(%s, %s, %s) = %v, %v; want %v, %v", tt.state, tt.previous, tt.action, got, err, tt.want, tt.kind)
		}
	}
}

func TestAllowedTellsReasons(t *testing.T) {
	p, _ := loadBase(t)
	f := Facts{Dossier: DossierFacts{State: "new"}}
	if st := p.May(f, "receive", "reception"); st.Allowed || st.Reason.Key != "bundle.action.papersNotJudged" {
		t.Errorf("May(receive) = %+v; want papers not judged", st)
	}
	f.Papers.AllJudged = true
	if st := p.May(f, "receive", "reception"); !st.Allowed || st.To != "open" {
		t.Errorf("May(receive) = %+v; want allowed", st)
	}
	if st := p.May(f, "receive", "head"); st.Allowed || st.ForRole || st.Reason.Key != "bundle.action.role" {
		t.Errorf("May(receive) as head = %+v; want refused for the role", st)
	}
	f.Dossier.State, f.Fee.Total = "open", 1000
	if st := p.May(f, "sign", "head"); st.Allowed || st.Reason.Key != "bundle.action.guard" {
		t.Errorf("May(sign) unpaid = %+v; want blocked by the guard", st)
	}
	if st := p.May(f, "deliver", "reception"); st.Reason.Key != "bundle.action.notFrom" {
		t.Errorf("May(deliver) = %+v; want not from this state", st)
	}
}

// TestGuardBlocks proves acceptance 5: a guard that cannot be evaluated blocks, with a reason.
func TestGuardBlocks(t *testing.T) {
	fsys := baseFS(t)
	flow := strings.Replace(string(fsys["flow.yaml"].Data), "fee.paid || fee.total == 0", "answers.kind == 'a'", 1)
	fsys["flow.yaml"] = &fstest.MapFile{Data: []byte(flow)}
	p, _ := Load(fsys)
	if p == nil {
		// The example asserts the actions of the old guard.
		delete(fsys, "tests/one.yaml")
		fsys["tests/two.yaml"] = &fstest.MapFile{Data: []byte("name: x\ngiven: {answers: {name: An, size: 50}}\nexpect: {case: large}\n")}
		var bad Problems
		if p, bad = Load(fsys); p == nil {
			t.Fatal(bad)
		}
	}
	st := p.May(Facts{Dossier: DossierFacts{State: "open"}}, "sign", "head")
	if st.Allowed || st.Reason.Key != "bundle.guard.unanswered" {
		t.Errorf("May(sign) without the answer = %+v; want blocked, unanswered", st)
	}
	if ok, err := p.Eval("never.compiled", Facts{}); ok || err == nil {
		t.Errorf("Eval(unknown) = %v, %v; want an error", ok, err)
	}
}

func TestFeeAndPapers(t *testing.T) {
	p, _ := loadBase(t)
	c := p.Cases[0]
	f := Facts{Answers: Answers{"size": int64(6), "kind": "a"}, Person: PersonFacts{Age: 81}}
	q, err := p.Fee(c, f)
	if err != nil || q.Full != 2000 || q.Total != 0 || !q.Exemptions[0].Applied {
		t.Errorf("Fee(81 years) = %+v, %v; want 2000 exempted to 0", q, err)
	}
	if _, err := p.Fee(c, Facts{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("Fee without answers = %v; want Invalid", err)
	}
	needs, err := p.Papers(c, Facts{})
	if err != nil || !needs[1].Required || !needs[1].Unknown || !needs[1].Conditional {
		t.Errorf("Papers without answers = %+v, %v; want required and unknown", needs, err)
	}
	f.Answers["kind"] = "b"
	f.Prefill = map[string]PrefillState{"person": {Status: "down"}}
	if needs, _ = p.Papers(c, f); !needs[1].Required || needs[1].KnownByState {
		t.Errorf("Papers with the register down = %+v; want required", needs[1])
	}
	f.Prefill["person"] = PrefillState{Status: "ok"}
	if needs, _ = p.Papers(c, f); needs[1].Required || !needs[1].KnownByState {
		t.Errorf("Papers with the register's answer = %+v; want known by the state", needs[1])
	}
}

func TestHashAndPack(t *testing.T) {
	fsys := baseFS(t)
	p, _ := Load(fsys)
	packed, err := Pack(fsys)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := Pack(fsys)
	if !bytes.Equal(packed, again) {
		t.Errorf("Pack is not deterministic")
	}
	tree, err := Unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	q, bad := Load(tree)
	if !bad.OK() || q.Hash != p.Hash {
		t.Errorf("Load(Unpack(Pack)) = %v, %v; want the same hash", q, bad)
	}
	fsys["tests/one.yaml"] = &fstest.MapFile{Data: append(slices.Clone(fsys["tests/one.yaml"].Data), '\n')}
	if q, _ := Load(fsys); q.Hash == p.Hash {
		t.Errorf("the hash did not notice a changed file")
	}
	if _, err := Unpack([]byte("no archive")); !errs.Is(err, errs.Invalid) {
		t.Errorf("Unpack(garbage) = %v; want Invalid", err)
	}
}

func TestLoadAllAndCurrent(t *testing.T) {
	all := fstest.MapFS{}
	add := func(dir, id, from string) {
		for name, f := range baseFS(t) {
			data := f.Data
			if name == "procedure.yaml" {
				data = []byte(strings.Replace(string(data), `id: "1", from: 2026-07-01`, `id: "`+id+`", from: `+from, 1))
			}
			all[dir+"/"+name] = &fstest.MapFile{Data: data}
		}
	}
	add("p/b", "2", "2027-01-01")
	add("p/a", "1", "2026-07-01")
	got, bad := LoadAll(all)
	if !bad.OK() || len(got["9.999999"]) != 2 {
		t.Fatalf("LoadAll = %v, %v", got, bad)
	}
	for day, want := range map[string]string{"2026-06-30": "", "2026-07-01": "1", "2027-06-01": "2"} {
		at, _ := time.ParseInLocation(time.DateOnly, day, i18n.Zone)
		id := ""
		if p := Current(got["9.999999"], at); p != nil {
			id = p.Version.ID
		}
		if id != want {
			t.Errorf("Current(%s) = %q; want %q", day, id, want)
		}
	}
	add("p/c", "2", "2027-02-01")
	if _, bad := LoadAll(all); len(bad) != 1 || bad[0].key != "doubleVersion" {
		t.Errorf("LoadAll with a doubled version = %v", bad)
	}
}

func TestLimits(t *testing.T) {
	fsys := baseFS(t)
	fsys["templates/big.txt"] = &fstest.MapFile{Data: make([]byte, maxFileSize+1)}
	if _, bad := Load(fsys); len(bad) == 0 || bad[0].key != "tooLarge" {
		t.Errorf("Load(big file) = %v; want tooLarge", bad)
	}
	fsys = baseFS(t)
	for i := range maxFiles {
		fsys["templates/f"+strings.Repeat("x", i%60)+string(rune('a'+i/60))+".txt"] = &fstest.MapFile{}
	}
	if _, bad := Load(fsys); len(bad) == 0 || bad[0].key != "tooMany" {
		t.Errorf("Load(many files) = %v; want tooMany", bad)
	}
}

// TestDocumentsPrint proves that every template of every shipped procedure becomes a PDF, with places for
// signatures on the results.
func TestDocumentsPrint(t *testing.T) {
	all, bad := LoadAll(os.DirFS("../../../procedures"))
	if !bad.OK() {
		t.Fatal(bad)
	}
	for code, list := range all {
		p := list[0]
		for _, name := range DefaultTemplates() {
			data := SampleData(p)
			data.Record = map[string]string{"kind": "marriage", "subject.fullName": "Nguyễn Văn <b>A</b>", "registeredOn": "1998-05-20"}
			html, err := p.Render(name, data)
			if err != nil {
				t.Errorf("%s %s: %v", code, name, err)
				continue
			}
			if bytes.Contains(html, []byte("<b>A</b>")) {
				t.Errorf("%s %s does not escape data", code, name)
			}
			doc, err := pdfdoc.Render(html, pdfdoc.Options{Title: name, Lang: "vi", Now: data.Issued})
			if err != nil {
				t.Errorf("%s %s: %v", code, name, err)
				continue
			}
			if _, ok := doc.Boxes["seal"]; name == TemplateResult && !ok {
				t.Errorf("%s: the result has no place for the seal", code)
			}
		}
		for _, n := range p.Flow.Notify {
			for _, on := range n.On {
				path := strings.ReplaceAll(n.Template, "{event}", on)
				text, err := p.RenderText(path, SampleData(p))
				if err != nil || strings.Contains(text, "<no value>") || text == "" {
					t.Errorf("%s %s = %q, %v", code, path, text, err)
				}
			}
		}
	}
	if _, err := list0(all).Render("nothing", &DocumentData{}); !errs.Is(err, errs.NotFound) {
		t.Errorf("Render(nothing) = %v; want NotFound", err)
	}
}

func list0(m map[string][]*Procedure) *Procedure {
	for _, l := range m {
		return l[0]
	}
	return nil
}

// TestSlip01 proves acceptance 9: the fields of spec §5, 24-hour times, both QR codes.
func TestSlip01(t *testing.T) {
	all, _ := LoadAll(os.DirFS("../../../procedures"))
	p := all["2.000635"][0]
	html, err := p.Render(TemplateReceipt, SampleData(p))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"H36.14-20261121-0000001", "14:30 21/11/2026", "14:30 23/11/2026", "0993•••••123", "Bản chính", "Bản chứng thực", "Bản chụp",
		"1 bộ", "1 ngày làm việc", "Nhận trực tuyến", "16.000 đồng", "NGƯỜI NỘP HỒ SƠ", "NGƯỜI TIẾP NHẬN",
		`data="https://example.vn/t/H36.14-20261121-0000001"`, `data="https://example.vn/p/2.000635"`,
	} {
		if !bytes.Contains(html, []byte(want)) {
			t.Errorf("slip 01 lacks %q", want)
		}
	}
	if bytes.Contains(html, []byte("099304000123")) {
		t.Errorf("slip 01 shows the whole personal number")
	}
}

// FuzzLoad feeds Load foreign bytes in place of each kind of file: it must answer, never fall over, and a bundle it
// accepts must work.
func FuzzLoad(f *testing.F) {
	base := baseFS(f)
	names := slices.Sorted(maps.Keys(base))
	for i, n := range names {
		f.Add(uint8(i), base[n].Data)
	}
	f.Add(uint8(0), []byte("? - - - : : [{&a *a"))
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		fsys := maps.Clone(base)
		fsys[names[int(which)%len(names)]] = &fstest.MapFile{Data: data}
		p, bad := Load(fsys)
		if (p == nil) == (len(bad) == 0) {
			t.Fatalf("Load = %v with %d problems", p, len(bad))
		}
		if p == nil {
			return
		}
		facts := Facts{Answers: Answers{"name": "An", "size": int64(5), "kind": "a"}, Dossier: DossierFacts{State: p.Flow.Start}}
		if c, err := p.Case(facts); err == nil {
			_, _ = p.Fee(c, facts)
			_, _ = p.Papers(c, facts)
			p.Form(c).Validate(facts)
		}
		p.Allowed(facts, "reception", "head")
	})
}

var errBroken = errors.New("disk on fire")

type brokenFS struct{ fs.FS }

func (b brokenFS) Open(name string) (fs.File, error) {
	if name == "." {
		return b.FS.Open(name)
	}
	return nil, errBroken
}

func TestUnreadable(t *testing.T) {
	if _, bad := Load(brokenFS{FS: baseFS(t)}); len(bad) == 0 || bad[0].key != "cannotRead" {
		t.Errorf("Load(unreadable) = %v", bad)
	}
}

func TestReportInEnglish(t *testing.T) {
	var out strings.Builder
	fsys := baseFS(t)
	if !TestReport(&out, fsys, "en") || !strings.Contains(out.String(), "1 examples pass") {
		t.Errorf("TestReport = %s", out.String())
	}
	out.Reset()
	fsys["tests/one.yaml"] = &fstest.MapFile{Data: bytes.Replace(fsys["tests/one.yaml"].Data, []byte("fee: 1000"), []byte("fee: 1"), 1)}
	if TestReport(&out, fsys, "vi") || !strings.Contains(out.String(), "tests/one.yaml:10: Ví dụ “Mẫu” sai: fee là 1000, mong đợi 1.") {
		t.Errorf("TestReport = %s", out.String())
	}
}
