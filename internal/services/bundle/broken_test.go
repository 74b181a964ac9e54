package bundle

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
)

// baseFS returns the smallest bundle that may be published.
func baseFS(t testing.TB) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	root := "testdata/base"
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out[strings.TrimPrefix(filepath.ToSlash(path), root+"/")] = &fstest.MapFile{Data: b}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBase(t *testing.T) {
	if _, bad := Load(baseFS(t)); !bad.OK() {
		t.Errorf("Load(base) =\n%v", bad)
	}
}

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// TestBroken breaks the base bundle in one way a file of testdata/broken and expects the fault to be told with its
// file and line. A section "old => new" edits a file, one without "=>" is the whole file, an empty one removes it.
func TestBroken(t *testing.T) {
	names, err := filepath.Glob("testdata/broken/*.txt")
	if err != nil || len(names) < 50 {
		t.Fatalf("%d broken bundles, %v", len(names), err)
	}
	proved := map[string]bool{}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			ar, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for l := range strings.Lines(string(ar.Comment)) {
				if w, ok := strings.CutPrefix(strings.TrimSpace(l), "want: "); ok {
					want = append(want, w)
				}
			}
			fsys := baseFS(t)
			for _, f := range ar.Files {
				edit(t, fsys, f)
			}
			p, bad := Load(fsys)
			if p != nil {
				t.Errorf("Load gave a procedure")
			}
			var got []string
			for _, b := range bad {
				got = append(got, fmt.Sprintf("%s:%d %s", b.File, b.Line, b.key))
				proved[b.key] = true
				for _, lang := range []string{"vi", "en"} {
					if text := b.In(lang); strings.Contains(text, "%!") || placeholder.MatchString(text) || strings.HasSuffix(text, ": ") {
						t.Errorf("%s message is unfinished: %s", lang, text)
					}
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("Load told\n\t%s\nwant\n\t%s\n%v", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"), bad)
			}
		})
	}
	t.Logf("%d of %d messages proved", len(proved), len(messages))
}

func edit(t *testing.T, fsys fstest.MapFS, f txtar.File) {
	t.Helper()
	text := string(f.Data)
	before, after, isEdit := strings.Cut(text, "=>\n")
	switch {
	case strings.TrimSpace(text) == "":
		delete(fsys, f.Name)
	case !isEdit:
		fsys[f.Name] = &fstest.MapFile{Data: f.Data}
	default:
		old := string(fsys[f.Name].Data)
		before = strings.TrimSuffix(before, "\n")
		after = strings.TrimSuffix(after, "\n")
		if strings.Count(old, before) != 1 {
			t.Fatalf("%s holds %q %d times", f.Name, before, strings.Count(old, before))
		}
		if after == "" {
			before += "\n" // the line goes, not only its text
		}
		fsys[f.Name] = &fstest.MapFile{Data: []byte(strings.Replace(old, before, after, 1))}
	}
}
