package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"truc/internal/exchange"
)

// limitsFile holds the limits that an operator has put in the place of the configuration's.
const limitsFile = "limits.json"

// keptLimits returns them; nil when the configuration's hold.
func (n *Node) keptLimits() ([]exchange.LimitRule, error) {
	b, err := os.ReadFile(n.path(limitsFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rules := []exchange.LimitRule{}
	if err := json.Unmarshal(b, &rules); err != nil {
		return nil, fmt.Errorf("%s: %w", limitsFile, err)
	}
	return rules, nil
}

// keepLimits puts them on the disk; nil goes back to the configuration's.
func (n *Node) keepLimits(rules []exchange.LimitRule) error {
	if rules == nil {
		if err := os.Remove(n.path(limitsFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	b, err := json.MarshalIndent(rules, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(n.path(limitsFile), append(b, '\n'))
}
