package translog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// smallSegments makes a log whose segments hold a few entries each.
func smallSegments(t testing.TB) Options {
	opt := testOptions(t.TempDir())
	opt.SegmentSize, opt.ArchiveDir, opt.Compress = 200, filepath.Join(t.TempDir(), "archive"), true
	return opt
}

func checkEntries(t *testing.T, l *Log, size int) {
	t.Helper()
	if l.Size() != int64(size) {
		t.Fatalf("size %d, want %d", l.Size(), size)
	}
	for i := range size {
		b, err := l.Entry(int64(i))
		if int64(i) < l.Minimum() {
			if !errors.Is(err, ErrPruned) {
				t.Errorf("entry %d = %q, %v; want ErrPruned", i, b, err)
			}
		} else if err != nil || !bytes.Equal(b, entry(i)) {
			t.Errorf("entry %d = %q, %v", i, b, err)
		}
		r, err := l.Receipt(int64(i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := VerifyReceipt(entry(i), r, l.VerifierKey()); err != nil {
			t.Errorf("receipt %d: %v", i, err)
		}
	}
	if err := l.Verify(t.Context()); err != nil {
		t.Errorf("Verify = %v", err)
	}
}

func reopen(t *testing.T, l *Log, opt Options) *Log {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return mustOpen(t, opt)
}

func TestSegmentsArchiveAndPrune(t *testing.T) {
	for _, c := range []struct {
		compress bool
		key      []byte
	}{{true, nil}, {false, nil}, {true, archiveKey}, {false, archiveKey}} {
		t.Run(fmt.Sprintf("compress %v, encrypt %v", c.compress, c.key != nil), func(t *testing.T) {
			opt := smallSegments(t)
			opt.Compress, opt.ArchiveKey = c.compress, c.key
			l := mustOpen(t, opt)
			fill(t, l, 100)
			n := len(l.Segments())
			if n < 5 {
				t.Fatalf("%d closed segments", n)
			}
			checkEntries(t, l, 100)
			l = reopen(t, l, opt)
			checkEntries(t, l, 100)
			moved, err := l.Archive(t.Context(), 2)
			if err != nil || moved != n-2 {
				t.Fatalf("Archive = %d, %v; want %d", moved, err, n-2)
			}
			checkEntries(t, l, 100)
			fill(t, l, 20)
			l = reopen(t, l, opt)
			checkEntries(t, l, 120)

			limit := l.Segments()[3].End + 1 // in the middle of a segment, which must stay
			minimum, err := l.Prune(limit, "older than ten years")
			if err != nil || minimum != l.Segments()[0].First || minimum != limit-1 {
				t.Fatalf("Prune = %d, %v; want %d", minimum, err, limit-1)
			}
			checkEntries(t, l, 120)
			l = reopen(t, l, opt)
			checkEntries(t, l, 120)
			p, err := VerifyPruned(l.Pruned(), l.VerifierKey())
			if err != nil || p.Minimum != minimum || p.Policy != "older than ten years" || p.Origin != origin || p.At != opt.Now().Unix() {
				t.Errorf("statement = %+v, %v", p, err)
			}
			// Everything but the segment that is written to may go.
			if _, err := l.Prune(1<<40, "all"); err != nil || len(l.Segments()) != 0 {
				t.Errorf("Prune of all = %v, %d segments", err, len(l.Segments()))
			}
			l = reopen(t, l, opt)
			checkEntries(t, l, 120)
			left, err := os.ReadDir(opt.ArchiveDir)
			if err != nil || len(left) != 0 {
				t.Errorf("the archive still holds %v, %v", left, err)
			}
		})
	}
}

var archiveKey = bytes.Repeat([]byte{5}, 32)

// An archive that is encrypted holds nothing in clear, is read with its key alone, and a file in it cannot be changed or put
// in the place of another; what was archived in clear before stays readable.
func TestEncryptedArchive(t *testing.T) {
	for _, compress := range []bool{true, false} {
		opt := smallSegments(t)
		opt.Compress = compress
		l := mustOpen(t, opt)
		fill(t, l, 100)
		all := len(l.Segments())
		if _, err := l.Archive(t.Context(), all-2); err != nil {
			t.Fatal(err)
		}
		opt.ArchiveKey = archiveKey
		l = reopen(t, l, opt)
		if moved, err := l.Archive(t.Context(), 0); err != nil || moved != all-2 {
			t.Fatalf("moved %d of %d, %v", moved, all-2, err)
		}
		checkEntries(t, l, 100)
		files, err := filepath.Glob(filepath.Join(opt.ArchiveDir, "*"+encryptedSuffix))
		if err != nil || len(files) != all-2 {
			t.Fatalf("%d encrypted files, %v; want %d", len(files), err, all-2)
		}
		for _, f := range files {
			if b, err := os.ReadFile(f); err != nil || bytes.Contains(b, []byte("entry ")) {
				t.Errorf("%s holds entries in clear (%v)", f, err)
			}
		}
		old, closed := l.Segments()[2], l.Segments()
		vkey := l.VerifierKey()
		r, err := OpenReader(opt.Dir, opt.ArchiveDir, vkey, archiveKey)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Verify(t.Context()); err != nil {
			t.Errorf("read with the key: %v", err)
		}
		_ = r.Close()
		for what, key := range map[string][]byte{"without a key": nil, "with another key": bytes.Repeat([]byte{6}, 32)} {
			r, err := OpenReader(opt.Dir, opt.ArchiveDir, vkey, key)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := r.Entry(old.First); !errors.Is(err, ErrArchive) {
				t.Errorf("%s: entry %q, %v; want ErrArchive", what, b, err)
			}
			if _, err := r.Entry(closed[0].First); err != nil {
				t.Errorf("%s: what was archived in clear: %v", what, err)
			}
			if _, err := r.Receipt(old.First); err != nil {
				t.Errorf("%s a proof: %v; proofs need no entries", what, err)
			}
			_ = r.Close()
		}
		one, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		two, err := os.ReadFile(files[1])
		if err != nil {
			t.Fatal(err)
		}
		changed := bytes.Clone(one)
		changed[len(changed)-1] ^= 1
		for what, bad := range map[string][]byte{"changed": changed, "cut": one[:len(one)-20], "the file of another segment": two} {
			if err := os.WriteFile(files[0], bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if b, err := l.Entry(old.First); err == nil {
				t.Errorf("%s: read %q", what, b)
			}
			if err := l.Verify(t.Context()); err == nil {
				t.Errorf("%s: verified", what)
			}
		}
		if err := os.WriteFile(files[0], one, 0o600); err != nil {
			t.Fatal(err)
		}
		checkEntries(t, reopen(t, l, opt), 100)
	}
}

func TestOpeningReadsOneSegment(t *testing.T) {
	opt := smallSegments(t)
	l := mustOpen(t, opt)
	fill(t, l, 100)
	if _, err := l.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	first := l.Segments()[0]
	_ = l.Close()
	// A changed old entry does not keep the log from opening, but it is not given out, and Verify finds it.
	flip(t, filepath.Join(opt.Dir, segmentName(first.First)), headSize+1)
	l = mustOpen(t, opt)
	if _, err := l.Entry(0); !errors.Is(err, ErrDamaged) {
		t.Errorf("Entry = %v, want ErrDamaged", err)
	}
	if _, err := l.Entry(99); err != nil {
		t.Error(err)
	}
	if err := l.Verify(t.Context()); !errors.Is(err, ErrDamaged) {
		t.Errorf("Verify = %v, want ErrDamaged", err)
	}
	if _, err := l.Archive(t.Context(), 0); !errors.Is(err, ErrDamaged) {
		t.Errorf("Archive = %v, want ErrDamaged", err)
	}
}

func TestMissingAndChangedSegmentsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, l *Log, dir string)
		want error
	}{
		{"first missing", func(t *testing.T, _ *Log, dir string) { remove(t, dir, segmentName(0)) }, ErrRollback},
		{"middle missing", func(t *testing.T, l *Log, dir string) { remove(t, dir, segmentName(l.Segments()[2].First)) }, ErrDamaged},
		{"last missing", func(t *testing.T, l *Log, dir string) {
			s := l.Segments()
			remove(t, dir, segmentName(s[len(s)-1].End))
		}, ErrRollback},
		{"middle cut", func(t *testing.T, l *Log, dir string) {
			if err := os.Truncate(filepath.Join(dir, segmentName(l.Segments()[2].First)), 100); err != nil {
				t.Fatal(err)
			}
		}, ErrDamaged},
		{"hash on the path of the root", func(t *testing.T, _ *Log, dir string) {
			flip(t, filepath.Join(dir, "hashes"), tlog.StoredHashIndex(6, 0)*32)
		}, ErrDamaged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opt := smallSegments(t)
			l := mustOpen(t, opt)
			fill(t, l, 100)
			if _, err := l.Checkpoint(); err != nil {
				t.Fatal(err)
			}
			crash(t, l)
			opt.Dir = copyDir(t, opt.Dir)
			tt.do(t, l, opt.Dir)
			if _, err := Open(opt); !errors.Is(err, tt.want) {
				t.Errorf("Open = %v, want %v", err, tt.want)
			}
		})
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func TestHashesAreComputedAgainFromAllSegments(t *testing.T) {
	opt := smallSegments(t)
	l := mustOpen(t, opt)
	fill(t, l, 60)
	if _, err := l.Archive(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	crash(t, l)
	opt.Dir = copyDir(t, opt.Dir)
	remove(t, opt.Dir, "hashes")
	remove(t, opt.Dir, "offsets")
	l = mustOpen(t, opt)
	checkEntries(t, l, 60)
	// Once entries were pruned their hashes cannot be had again, and the log says so instead of making some up.
	if _, err := l.Prune(30, "test"); err != nil {
		t.Fatal(err)
	}
	crash(t, l)
	opt.Dir = copyDir(t, opt.Dir)
	remove(t, opt.Dir, "hashes")
	if _, err := Open(opt); !errors.Is(err, ErrDamaged) {
		t.Errorf("Open = %v, want ErrDamaged", err)
	}
}

func TestUpgradeFromOneFile(t *testing.T) {
	opt := testOptions(t.TempDir())
	l := mustOpen(t, opt)
	fill(t, l, 30)
	if _, err := l.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := os.Rename(filepath.Join(opt.Dir, segmentName(0)), filepath.Join(opt.Dir, "data")); err != nil {
		t.Fatal(err)
	}
	opt.SegmentSize = 200
	l = mustOpen(t, opt)
	fill(t, l, 30)
	checkEntries(t, l, 60)
	if s := l.Segments(); len(s) < 2 || s[0].First != 0 || s[0].End != 30 {
		t.Errorf("segments = %+v", s)
	}
}

func TestRotationOnAFullDisk(t *testing.T) {
	opt := smallSegments(t)
	d := &disk{room: -1}
	full := false
	opt.open = func(path string) (file, error) {
		if full && strings.HasPrefix(filepath.Base(path), segmentPrefix) {
			return nil, errDisk
		}
		return d.open(path)
	}
	l := mustOpen(t, opt)
	full = true
	for {
		if _, err := l.Append(t.Context(), entry(int(l.Size()))); errors.Is(err, errDisk) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	n := int(l.Size())
	checkEntries(t, l, n)
	full = false
	fill(t, l, 40)
	checkEntries(t, l, n+40)
	l = reopen(t, l, opt)
	checkEntries(t, l, n+40)
}

func TestInterruptedMove(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, opt Options, s Segment, original []byte)
	}{
		{"killed before the original was removed", func(t *testing.T, opt Options, s Segment, original []byte) {
			write(t, filepath.Join(opt.Dir, segmentName(s.First)), original)
		}},
		{"the copy in the archive is damaged and the original still here", func(t *testing.T, opt Options, s Segment, original []byte) {
			write(t, filepath.Join(opt.Dir, segmentName(s.First)), original)
			flip(t, filepath.Join(opt.ArchiveDir, segmentName(s.First)+".gz"), 20)
		}},
		{"killed while the copy was made", func(t *testing.T, opt Options, s Segment, original []byte) {
			write(t, filepath.Join(opt.Dir, segmentName(s.First)), original)
			remove(t, opt.Dir, segmentName(s.First)+stubSuffix)
			if err := os.Truncate(filepath.Join(opt.ArchiveDir, segmentName(s.First)+".gz"), 10); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opt := smallSegments(t)
			l := mustOpen(t, opt)
			fill(t, l, 60)
			s := l.Segments()[1]
			original, err := os.ReadFile(filepath.Join(opt.Dir, segmentName(s.First)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Archive(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			_ = l.Close()
			tt.do(t, opt, s, original)
			l = mustOpen(t, opt)
			checkEntries(t, l, 60)
			if _, err := l.Archive(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			checkEntries(t, l, 60)
		})
	}
	t.Run("the archive is away", func(t *testing.T) {
		opt := smallSegments(t)
		l := mustOpen(t, opt)
		fill(t, l, 60)
		if _, err := l.Archive(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		l = reopen(t, l, opt)
		if err := os.RemoveAll(opt.ArchiveDir); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Entry(0); !errors.Is(err, ErrArchive) {
			t.Errorf("Entry = %v, want ErrArchive", err)
		}
		fill(t, l, 5) // the log itself goes on
	})
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPruneStatementIsChecked(t *testing.T) {
	opt := smallSegments(t)
	l := mustOpen(t, opt)
	fill(t, l, 60)
	for _, policy := range []string{"", "two\nlines", strings.Repeat("x", 2000)} {
		if _, err := l.Prune(20, policy); err == nil {
			t.Errorf("policy %q was taken", policy)
		}
	}
	if _, err := l.Prune(20, "test"); err != nil {
		t.Fatal(err)
	}
	msg := l.Pruned()
	for i := range msg {
		bad := bytes.Clone(msg)
		bad[i] ^= 1
		if _, err := VerifyPruned(bad, l.VerifierKey()); err == nil && !bytes.Equal(bad, msg) {
			t.Errorf("byte %d changed: still verifies", i)
		}
	}
	if c, err := l.Checkpoint(); err != nil {
		t.Error(err)
	} else if _, err := VerifyPruned(c, l.VerifierKey()); err == nil {
		t.Error("a checkpoint passes for a statement of pruning")
	}
	if _, err := VerifyCheckpoint(msg, l.VerifierKey()); err == nil {
		t.Error("a statement of pruning passes for a checkpoint")
	}
	_ = l.Close()
	flip(t, filepath.Join(opt.Dir, prunedName), 40)
	if _, err := Open(opt); !errors.Is(err, ErrDamaged) {
		t.Errorf("Open = %v, want ErrDamaged", err)
	}
}

// TestPruneSignsFirst opens the copy of a log that was pruned before anybody asked it for a checkpoint, as after a crash.
func TestPruneSignsFirst(t *testing.T) {
	opt := smallSegments(t)
	l := mustOpen(t, opt)
	fill(t, l, 60)
	s := l.Segments()
	if minimum, err := l.Prune(s[len(s)-1].First, "keep the last segment"); err != nil || minimum != s[len(s)-1].First {
		t.Fatalf("Prune = %d, %v; want %d", minimum, err, s[len(s)-1].First)
	}
	crashed := opt
	crashed.Dir = t.TempDir()
	if err := os.CopyFS(crashed.Dir, os.DirFS(opt.Dir)); err != nil {
		t.Fatal(err)
	}
	checkEntries(t, mustOpen(t, crashed), 60)
}

func TestReader(t *testing.T) {
	opt := smallSegments(t)
	l := mustOpen(t, opt)
	fill(t, l, 60)
	if _, err := l.Archive(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Prune(12, "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReader(opt.Dir, opt.ArchiveDir, l.VerifierKey(), nil) // while the writer has it open
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	checkEntries(t, r, 60)
	if _, err := r.Append(t.Context(), entry(60)); err == nil {
		t.Error("a reader appended")
	}
	if _, err := r.Prune(1<<40, "test"); err == nil {
		t.Error("a reader pruned")
	}
	fill(t, l, 20)
	checkEntries(t, l, 80)
}

func TestTiles(t *testing.T) {
	l := mustOpen(t, testOptions(t.TempDir()))
	const size = 600
	fill(t, l, size)
	msg, err := l.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	c, err := VerifyCheckpoint(msg, l.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	// A stranger who has only the tiles can compute every hash; the sumdb client is such a stranger.
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			tile := tlog.TileForIndex(tileHeight, x)
			full := Tile{L: tile.L, N: tile.N, W: tile.W}
			b, err := l.Tile(full)
			if err != nil {
				return nil, err
			}
			if out[i], err = tlog.HashFromTile(tile, b, x); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
	if root, err := tlog.TreeHash(size, read); err != nil || root != c.Root {
		t.Errorf("root from tiles = %v, %v; want %v", root, err, c.Root)
	}
	if _, err := l.Tile(Tile{L: 0, N: 2, W: 89}); !errors.Is(err, ErrTile) {
		t.Errorf("tile beyond the tree = %v", err)
	}
	for path, want := range map[string]Tile{
		"tile/0/x001/x234/067":     {0, 1234067, 256},
		"tile/0/000":               {0, 0, 256},
		"tile/1/000.p/2":           {1, 0, 2},
		"tile/3/x999/999.p/255":    {3, 999999, 255},
		"tile/0/x001/x234/067.p/1": {0, 1234067, 1},
	} {
		if got, err := ParseTile(path); err != nil || got != want || got.Path() != path {
			t.Errorf("ParseTile(%q) = %+v, %v; want %+v", path, got, err, want)
		}
	}
	for _, bad := range []string{"", "tile/0", "tile/8/000", "tile/-1/000", "tile/0/00", "tile/0/0000", "tile/0/x000/001", "tile/0/001.p/256", "tile/0/001.p/0", "tile/0/../1", "tile/entries/000", "tile/0/+01"} {
		if tile, err := ParseTile(bad); err == nil {
			t.Errorf("ParseTile(%q) = %+v", bad, tile)
		}
	}
}

func FuzzParseTile(f *testing.F) {
	f.Add("tile/0/x001/x234/067.p/1")
	f.Fuzz(func(t *testing.T, path string) {
		if tile, err := ParseTile(path); err == nil && tile.Path() != path {
			t.Errorf("ParseTile(%q) = %+v, written %q", path, tile, tile.Path())
		}
	})
}

func FuzzParseStub(f *testing.F) {
	f.Add((&stub{file: "data-000000000000.gz", end: 12, bytes: 300, sum: strings.Repeat("a", 64)}).marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := parseStub(b); err == nil && (!bytes.Equal(s.marshal(), b) || strings.ContainsRune(s.file, os.PathSeparator)) {
			t.Errorf("parseStub(%q) = %+v", b, s)
		}
	})
}

const tidyDir = "TRUC_TEST_TRANSLOG_TIDY"

// TestKilledWhileTidying kills a child that appends, rotates, archives and prunes as fast as it can, again and again in
// one folder: nothing that was acknowledged and not pruned by a statement may be missing, and every proof must hold.
func TestKilledWhileTidying(t *testing.T) {
	if dir := os.Getenv(tidyDir); dir != "" {
		tidyChild(dir)
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	acknowledged := map[int64]string{}
	opt := tidyOptions(dir)
	for round := range 6 {
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestKilledWhileTidying$")
		cmd.Stderr = os.Stderr
		cmd.Env = append(os.Environ(), tidyDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var i int64
			var text string
			if _, err := fmt.Sscan(lines.Text(), &i, &text); err != nil {
				t.Fatalf("child said %q", lines.Text())
			}
			acknowledged[i] = text
			if n == 150+37*round {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		l := mustOpen(t, opt)
		for i, text := range acknowledged {
			b, err := l.Entry(i)
			if i < l.Minimum() {
				if !errors.Is(err, ErrPruned) {
					t.Fatalf("round %d: entry %d = %v, want ErrPruned", round, i, err)
				}
			} else if err != nil || string(b) != text {
				t.Fatalf("round %d: entry %d = %q, %v; want %q", round, i, b, err, text)
			}
			r, err := l.Receipt(i)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := VerifyReceipt([]byte(text), r, l.VerifierKey()); err != nil {
				t.Fatalf("round %d: receipt of %d: %v", round, i, err)
			}
		}
		if err := l.Verify(t.Context()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if round == 5 && (l.Minimum() == 0 || len(acknowledged) < 900) {
			t.Errorf("%d acknowledged, minimum %d: the test tested nothing", len(acknowledged), l.Minimum())
		}
		_ = l.Close()
	}
}

func tidyOptions(dir string) Options {
	opt := testOptions(filepath.Join(dir, "log"))
	opt.SegmentSize, opt.ArchiveDir, opt.Compress = 300, filepath.Join(dir, "archive"), true
	return opt
}

func tidyChild(dir string) {
	l, err := Open(tidyOptions(dir))
	if err != nil {
		fmt.Println("open", err)
		os.Exit(1)
	}
	go func() {
		for {
			if _, err := l.Archive(context.Background(), max(2, len(l.Segments())-2)); err != nil {
				fmt.Fprintln(os.Stderr, "archive", err)
				return
			}
			if s := l.Segments(); len(s) > 20 {
				if _, err := l.Prune(s[len(s)-15].End, "keep fifteen segments"); err != nil {
					return
				}
			}
			if _, err := l.Checkpoint(); err != nil {
				return
			}
		}
	}()
	for k := range 100_000 {
		text := strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(k)
		i, err := l.Append(context.Background(), []byte(text))
		if err != nil {
			return
		}
		fmt.Println(i, text)
	}
}
