package exchangestore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/exchange"
)

// day is when the messages of tests are exchanged.
var day = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

func uuid(r *rand.Rand) string {
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&0xffffffffffff)
}

// ordinary is a message as a node sees them.
func ordinary(r *rand.Rand, n int64, at time.Time) exchange.Message {
	m := exchange.Message{
		Role: exchange.RoleProvider, ExchangeID: uuid(r), RequestID: uuid(r), Client: "VN/GOV/H36/onestop", Service: "VN/GOV/G01/population/person", Method: "POST",
		Path: "/query", Status: 200, Outcome: "ok", At: at, Duration: time.Duration(1000+r.IntN(20000)) * time.Microsecond,
		RequestIndex: 2 * n, ResponseIndex: 2*n + 1, RequestBodyIndex: -1, ResponseBodyIndex: -1, RequestSize: 1024, ResponseSize: int64(900 + r.IntN(200)),
		Activity: "prefill", Dossier: fmt.Sprintf("H36.14-261121-%04d", n%50), Grant: strings.Repeat("ab", 32), Peer: "VN/GOV/G01/node",
		TraceID: fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()),
	}
	m.RequestOut = m.At.Add(300 * time.Microsecond)
	m.ResponseIn = m.At.Add(m.Duration - 200*time.Microsecond)
	m.Recorded = m.At.Add(m.Duration + 50*time.Microsecond)
	if r.IntN(40) == 0 {
		m.Outcome, m.Status, m.FaultID, m.ResponseIn = "server.serverproxy.access_denied", 403, uuid(r), time.Time{}
	}
	return m
}

// odd is a message whose every field may hold anything.
func odd(r *rand.Rand) exchange.Message {
	ids := []string{"", "x", uuid(r), strings.ToUpper(uuid(r)), "0123456789abcdef0123456789abcdef", "abcd", "ABCD", "a-b", uuid(r)[:35] + "-", strings.Repeat("é", 300), "\x00\xff"}
	id := func() string { return ids[r.IntN(len(ids))] }
	numbers := []int64{0, 1, -1, math.MaxInt64, math.MinInt64, r.Int64(), int64(r.IntN(1000))}
	n := func() int64 { return numbers[r.IntN(len(numbers))] }
	at := func() time.Time {
		if r.IntN(4) == 0 {
			return time.Time{}
		}
		return day.Add(time.Duration(r.Int64N(int64(1000*time.Hour))) - 500*time.Hour).Truncate(time.Microsecond)
	}
	return exchange.Message{
		ExchangeID: id(), RequestID: id(), Role: id(), Client: id(), Service: id(), Method: id(), Path: id(), Status: int(n()), Outcome: id(), At: at(),
		Duration: time.Duration(r.Int64N(1e12)-5e11) * time.Microsecond, RequestIndex: n(), ResponseIndex: n(), RequestBodyIndex: n(), ResponseBodyIndex: n(),
		RequestSize: n(), ResponseSize: n(), Activity: id(), Dossier: id(), Grant: id(), Delegator: id(), ServiceDelegator: id(), Recorded: at(),
		RequestOut: at(), ResponseIn: at(), Peer: id(), TraceID: id(), FaultID: id(),
	}
}

// TestBlock writes blocks of ordinary and of the oddest messages and reads them back.
func TestBlock(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var e encoder
	var d decoder
	for turn := range 300 {
		ms := make([]exchange.Message, 1+r.IntN(maxBlock))
		if turn%3 > 0 {
			ms = ms[:1+len(ms)/40]
		}
		for i := range ms {
			if ms[i] = odd(r); turn%3 == 0 || turn%3 == 1 && r.IntN(3) > 0 {
				ms[i] = ordinary(r, int64(i), day.Add(time.Duration(i)*time.Millisecond))
			}
			ms[i].Seq = int64(70 + i)
		}
		data := e.block(ms)
		got, err := d.block(nil, 70, data, allColumns)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(ms, got); diff != "" {
			t.Fatalf("a block does not come back (-want +got):\n%s", diff)
		}
		// Some of the columns are read as with all of them.
		want := columnSet(r.Uint64()) & allColumns
		some, err := d.block(nil, 70, data, want)
		if err != nil {
			t.Fatal(err)
		}
		for i := range ms {
			for c := range columnCount {
				if !want.has(c) {
					continue
				}
				if c < colStatus || c >= colExchangeID {
					if *text(&some[i], c) != *text(&ms[i], c) {
						t.Fatalf("column %d of some: %q; want %q", c, *text(&some[i], c), *text(&ms[i], c))
					}
				} else if number(&some[i], c) != number(&ms[i], c) {
					t.Fatalf("column %d of some: %d; want %d", c, number(&some[i], c), number(&ms[i], c))
				}
			}
		}
		// A damaged block is said, whatever bit it is.
		i := r.IntN(len(data))
		data[i] ^= 1 << r.IntN(8)
		if _, err := d.block(nil, 70, data, allColumns); err == nil {
			t.Fatalf("byte %d of %d is damaged, and nobody says so", i, len(data))
		}
	}
}

// FuzzBlock reads anything: the checksum is made right, so that what is behind it is tried. What is read as a block is
// written and read again.
func FuzzBlock(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	var e encoder
	for i := range 8 {
		ms := make([]exchange.Message, 1+i)
		for i := range ms {
			if ms[i] = ordinary(r, int64(i), day); i%2 == 1 {
				ms[i] = odd(r)
			}
		}
		data := e.block(ms)
		f.Add(append([]byte{}, data[:len(data)-4]...), uint64(allColumns))
	}
	f.Fuzz(func(t *testing.T, data []byte, want uint64) {
		data = binary.LittleEndian.AppendUint32(append([]byte{}, data...), crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
		var d decoder
		if _, err := d.block(nil, 1, data, columnSet(want)&allColumns); err != nil {
			return
		}
		ms, err := d.block(nil, 1, data, allColumns)
		if err != nil {
			return // in a column that was not wanted
		}
		if len(ms) > maxBlockRead {
			t.Fatalf("%d rows", len(ms))
		}
		var e encoder
		again, err := d.block(nil, 1, e.block(ms), allColumns)
		if err != nil {
			t.Fatal(err)
		}
		for i := range ms {
			for c := range columnCount {
				if c < colStatus || c >= colExchangeID {
					if *text(&ms[i], c) != *text(&again[i], c) {
						t.Fatalf("row %d, column %d", i, c)
					}
				} else if number(&ms[i], c) != number(&again[i], c) {
					t.Fatalf("row %d, column %d", i, c)
				}
			}
		}
	})
}
