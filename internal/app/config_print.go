package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
)

// Print writes the configuration as TOML; it holds no secrets, only the names of files that do. The password of a
// database address is masked.
func (c *Config) Print() string {
	masked := *c
	masked.DB = maskPassword(c.DB)
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(masked); err != nil {
		return err.Error()
	}
	return b.String()
}

// maskPassword hides what is secret in the address of a database, in whichever of its two places a password stands.
func maskPassword(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return "xxxxx"
	}
	if _, has := u.User.Password(); has {
		u.User = url.UserPassword(u.User.Username(), "xxxxx")
	}
	if q := u.Query(); q.Has("password") || q.Has("sslpassword") {
		for _, name := range []string{"password", "sslpassword"} {
			if q.Has(name) {
				q.Set(name, "xxxxx")
			}
		}
		u.RawQuery = q.Encode()
	}
	return u.String()
}

func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	return strings.TrimSpace(string(b)), err
}

func readJSONFile(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeOnce writes a file with a secret unless it is there.
func writeOnce(path string, content func() (string, error)) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	s, err := content()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, []byte(s+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
