package app

import (
	"bytes"
	"context"
	"crypto"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxOutside bounds a file that the configuration names and that a backup takes along, in bytes.
const maxOutside = 1 << 20

// source is the text of the configuration: the file it came from, or what it would be.
func (c *Config) source() ([]byte, error) {
	if c.file != "" {
		return os.ReadFile(c.file)
	}
	var b bytes.Buffer
	err := toml.NewEncoder(&b).Encode(c)
	return b.Bytes(), err
}

// filesOutside lists the small files that the configuration names outside of the data folder: certificates, secrets,
// lists. Folders are not among them, nor what opens the node's keys: beside them it would protect nothing.
func (c *Config) filesOutside() []string {
	var out []string
	inside := absolute(c.DataDir) + string(filepath.Separator)
	rest := *c
	rest.Keys = KeysConfig{}
	eachString(reflect.ValueOf(&rest).Elem(), func(s string) {
		if !strings.ContainsRune(s, '/') || strings.Contains(s, "://") || slices.Contains(out, s) || strings.HasPrefix(absolute(s), inside) {
			return
		}
		if st, err := os.Stat(s); err == nil && st.Mode().IsRegular() && st.Size() <= maxOutside {
			out = append(out, s)
		}
	})
	return out
}

// eachString visits every string of a configuration.
func eachString(v reflect.Value, f func(string)) {
	switch v.Kind() { //nolint:exhaustive // the rest holds no strings
	case reflect.String:
		f(v.String())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				eachString(v.Field(i), f)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			eachString(v.Index(i), f)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			eachString(it.Value(), f)
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			eachString(v.Elem(), f)
		}
	}
}

// movedConfig returns the text of a configuration whose data folder and database are elsewhere. Paths below the old data
// folder and the files in moved follow; comments are lost.
func movedConfig(text []byte, oldDir, newDir, db string, moved map[string]string) ([]byte, error) {
	var m map[string]any
	if err := toml.Unmarshal(text, &m); err != nil {
		return nil, err
	}
	before := []string{oldDir + "/"}
	if raw, ok := m["data_dir"].(string); ok && raw != "" { // as it is written, perhaps relative
		before = append(before, filepath.Clean(raw)+"/")
	}
	m["data_dir"] = newDir
	delete(m, "db")
	if db != "" {
		m["db"] = db
	}
	var move func(v any) any
	move = func(v any) any {
		switch v := v.(type) {
		case string:
			if to, ok := moved[v]; ok {
				return to
			}
			for _, dir := range before {
				if rest, ok := strings.CutPrefix(v, dir); ok {
					return filepath.Join(newDir, rest)
				}
			}
		case map[string]any:
			for k := range v {
				if k != "data_dir" && k != "db" {
					v[k] = move(v[k])
				}
			}
		case []any:
			for i := range v {
				v[i] = move(v[i])
			}
		case []map[string]any:
			for i := range v {
				move(v[i])
			}
		}
		return v
	}
	move(m)
	var b bytes.Buffer
	err := toml.NewEncoder(&b).Encode(m)
	return b.Bytes(), err
}

// backupSigner is the key that signs backups: the one that signs messages.
func (n *Node) backupSigner(ctx context.Context) (crypto.Signer, error) {
	if k := n.currentKeys().Signing; k != nil {
		return k, nil
	}
	k, err := loadKeys(ctx, n.cfg, n.keystore)
	return k.Signing, err
}

// withArchive points a configuration at the archive that came with a backup.
func withArchive(text []byte, dir string) ([]byte, error) {
	var m map[string]any
	if err := toml.Unmarshal(text, &m); err != nil {
		return nil, err
	}
	section, ok := m["evidence"].(map[string]any)
	if !ok {
		section = map[string]any{}
	}
	section["archive_dir"] = dir
	m["evidence"] = section
	var b bytes.Buffer
	err := toml.NewEncoder(&b).Encode(m)
	return b.Bytes(), err
}
