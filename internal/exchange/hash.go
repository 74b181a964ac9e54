package exchange

import (
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"slices"
	"sort"
	"strings"
)

// requestHash is X-Road's request hash over given bytes (spec §2.4): base64(SHA512(SHA512(head) ‖ SHA512(body))), or
// of the head alone when there is no body.
func requestHash(head, body []byte) string {
	h := sha512.Sum512(head)
	if len(body) == 0 {
		return base64.StdEncoding.EncodeToString(h[:])
	}
	b := sha512.Sum512(body)
	sum := sha512.Sum512(append(h[:], b[:]...))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// RequestHash returns the value of x-road-request-hash for a request in its /r1/ form. net/http keeps neither the case
// of names nor their order, so the head has a normal form of ours: lower-case names, sorted, values as received.
func RequestHash(method, target string, header http.Header, body []byte) string {
	var lines []string
	for name, values := range header {
		lower := strings.ToLower(name)
		if slices.Contains(hopHeaders, http.CanonicalHeaderKey(name)) || strings.HasPrefix(lower, "truc-") ||
			slices.Contains([]string{"signature", "signature-input", "content-digest"}, lower) {
			continue
		}
		for _, v := range values {
			lines = append(lines, lower+":"+v+"\r\n")
		}
	}
	sort.SliceStable(lines, func(i, j int) bool {
		a, _, _ := strings.Cut(lines[i], ":")
		b, _, _ := strings.Cut(lines[j], ":")
		return a < b
	})
	return requestHash([]byte(method+"\r\n"+target+"\r\n"+strings.Join(lines, "")), body)
}
