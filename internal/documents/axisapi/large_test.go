package axisapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/edxml"
	"truc/internal/storage/storagetest"
)

// sparse is a file of zeros behind the mark of a PDF.
func sparse(size int64) io.ReadCloser {
	return io.NopCloser(io.LimitReader(io.MultiReader(strings.NewReader("%PDF-1.4\n"), zeros{}), size))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// heapPeak samples the heap until stop is called, which returns how far it grew.
func heapPeak() (stop func() uint64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	start, peak := m.HeapInuse, m.HeapInuse
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
		}
	})
	return func() uint64 {
		cancel()
		wg.Wait()
		return peak - start
	}
}

// TestLargeDocument: a document many times larger than the memory allowed for it is sent, stored, and fetched by both calls.
func TestLargeDocument(t *testing.T) {
	const size, allowed = 160 << 20, 64 << 20
	c := newCenter(t, storagetest.OpenSQLite(t))
	m := letter("08", []string{"G98"})
	m.Attachments[0].Open = func() (io.ReadCloser, error) { return sparse(size), nil }
	path := filepath.Join(t.TempDir(), "large.edxml")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	hash := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(f, hash), 1<<20)
	if err := errors.Join(edxml.Write(w, m), w.Flush()); err != nil {
		t.Fatal(err)
	}
	length, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, name string, params map[string]string, body io.Reader, n int64, system string) *http.Response {
		t.Helper()
		signed := signedRequest(method, name, system, c.secrets[system], formatStamp(start), params, nil)
		r, err := http.NewRequestWithContext(t.Context(), method, c.srv.URL+DefaultPrefix+"/"+name, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header, r.ContentLength = signed.Header, n
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	grew := heapPeak()

	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	resp := ask("POST", callSend, map[string]string{"messagetype": "edoc", "hash-file": looseHex(hash.Sum(nil))}, io.MultiReader(f, strings.NewReader(crlf)), length+2, "vidu.01")
	var sent sentReply
	if err := errors.Join(json.NewDecoder(resp.Body).Decode(&sent), resp.Body.Close()); err != nil || sent.DocID == "" {
		t.Fatalf("sent: %+v, %v", sent, err)
	}
	id := ok(t)(c.client("bovidu.01").Received("edoc")).Data[0]["docId"].(string)

	resp = ask("GET", callDownload, map[string]string{"docId": id}, nil, 0, "bovidu.01")
	got := sha256.New()
	if _, err := io.Copy(got, resp.Body); err != nil || resp.ContentLength != length {
		t.Errorf("downloadEdoc: %d bytes, %v", resp.ContentLength, err)
	}
	if err := resp.Body.Close(); err != nil || hex.EncodeToString(got.Sum(nil)) != hex.EncodeToString(hash.Sum(nil)) {
		t.Errorf("downloadEdoc gives other bytes, %v", err)
	}

	resp = ask("POST", "getEdoc", map[string]string{"docId": id}, strings.NewReader("{}"), 2, "bovidu.01")
	defer resp.Body.Close()
	text := bufio.NewReader(resp.Body)
	for range 32 { // the file is the last string of the object
		if _, err := text.ReadString('"'); err != nil {
			t.Fatal(err)
		}
		if b, err := text.Peek(7); err != nil {
			t.Fatal(err)
		} else if string(b) == `data":"` {
			break
		}
	}
	if _, err := text.Discard(7); err != nil {
		t.Fatal(err)
	}
	got.Reset()
	if _, err := io.Copy(got, base64.NewDecoder(base64.StdEncoding, &untilQuote{r: text})); err != nil || hex.EncodeToString(got.Sum(nil)) != hex.EncodeToString(hash.Sum(nil)) {
		t.Errorf("getEdoc gives other bytes, %v", err)
	}
	want := (length + 2) / 3 * 4
	if resp.ContentLength < want || resp.ContentLength > want+300 {
		t.Errorf("getEdoc: %d bytes for %d", resp.ContentLength, length)
	}
	if n := grew(); n > allowed {
		t.Errorf("the heap grew by %d MiB, %d are allowed for a document of %d", n>>20, int64(allowed)>>20, length>>20)
	} else {
		t.Logf("the heap grew by %d MiB for a document of %d", n>>20, length>>20)
	}
}

// untilQuote reads a string of JSON that holds no escapes.
type untilQuote struct {
	r    *bufio.Reader
	done bool
}

func (u *untilQuote) Read(p []byte) (int, error) {
	if u.done {
		return 0, io.EOF
	}
	n, err := u.r.Read(p)
	if i := bytes.IndexByte(p[:n], '"'); i >= 0 {
		u.done = true
		return i, nil
	}
	return n, err
}
