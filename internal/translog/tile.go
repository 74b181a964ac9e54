package translog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"truc/internal/errs"
)

// tileHeight and tileWidth are those of C2SP tlog-tiles: a full tile has 256 hashes.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// ErrTile means that a path names no tile, or one that the log does not have yet.
var ErrTile = errors.New("translog: no such tile")

// Tile names a hash tile (C2SP tlog-tiles): the hashes at level 8·L of the tree, 256 in a full one.
type Tile struct {
	L int
	N int64
	// W is the number of hashes: 256, or less in the last tile of a level.
	W int
}

// Path returns "tile/<L>/<N>[.p/<W>]" with N in groups of three digits, such as "tile/0/x001/x234/067".
func (t Tile) Path() string {
	n := fmt.Sprintf("%03d", t.N%1000)
	for rest := t.N / 1000; rest > 0; rest /= 1000 {
		n = fmt.Sprintf("x%03d/%s", rest%1000, n)
	}
	if t.W < tileWidth {
		n += ".p/" + strconv.Itoa(t.W)
	}
	return "tile/" + strconv.Itoa(t.L) + "/" + n
}

// ParseTile reads the path of a hash tile; it accepts what [Tile.Path] writes and nothing else.
func ParseTile(path string) (t Tile, err error) {
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok || len(path) > 64 {
		return t, ErrTile
	}
	level, rest, ok := strings.Cut(rest, "/")
	if t.L, err = strconv.Atoi(level); !ok || err != nil {
		return Tile{}, ErrTile
	}
	t.W = tileWidth
	if n, w, partial := strings.Cut(rest, ".p/"); partial {
		if t.W, err = strconv.Atoi(w); err != nil {
			return Tile{}, ErrTile
		}
		rest = n
	}
	t.N, err = strconv.ParseInt(strings.ReplaceAll(strings.ReplaceAll(rest, "x", ""), "/", ""), 10, 64)
	if err != nil || t.L < 0 || t.L > 7 || t.N < 0 || t.W < 1 || t.W > tileWidth || t.Path() != path {
		return Tile{}, ErrTile
	}
	return t, nil
}

// Tile returns the hashes of a tile, 32 bytes each. Tiles hold no content of entries, so they may be shown to witnesses
// and peers.
func (l *Log) Tile(t Tile) (b []byte, err error) {
	defer errs.Wrap(&err, "tile %s", t.Path())
	if t.L < 0 || t.L > 7 || t.N < 0 || t.W < 1 || t.W > tileWidth || t.N >= 1<<(maxTreeLevel-tileHeight) {
		return nil, ErrTile
	}
	shift := uint(tileHeight * t.L)
	if (t.N*tileWidth + int64(t.W)) > l.Durable()>>shift {
		return nil, ErrTile
	}
	return tlog.ReadTileData(tlog.Tile{H: tileHeight, L: t.L, N: t.N, W: t.W}, tlog.HashReaderFunc(l.readHashes))
}
