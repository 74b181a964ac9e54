package exchangeapi

import (
	"math"
	"net/http"
	"strconv"

	"truc/internal/exchange"
)

// setRetryAfter tells a program when to ask again; in both modes, because X-Road's statuses do not tell a limit from a
// fault (spec §4.9). Five seconds is a guess for faults that name no time.
func setRetryAfter(h http.Header, f *exchange.Fault) {
	seconds := int64(math.Ceil(f.RetryAfter.Seconds()))
	if status := f.Status(true); seconds <= 0 && (status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests) {
		seconds = 5
	}
	if seconds > 0 {
		h.Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
}
