package exchange

import (
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
)

// requestHash is X-Road's request hash over given bytes (spec §2.4): base64(SHA512(SHA512(head) ‖ SHA512(body))), or
// of the head alone when there is no body.
func requestHash(head, body []byte) string {
	b := sha512.Sum512(body)
	return requestHashSum(head, b[:], len(body) == 0)
}

// requestHashSum is requestHash for a body of which only the SHA-512 is known.
func requestHashSum(head, sum []byte, empty bool) string {
	h := sha512.Sum512(head)
	if !empty {
		h = sha512.Sum512(append(h[:], sum...))
	}
	return base64.StdEncoding.EncodeToString(h[:])
}

// RequestHash returns the value of x-road-request-hash for a request in its /r1/ form. net/http keeps neither the case
// of names nor their order, so the head has a normal form of ours: lower-case names, sorted, values as received. What a node
// may add or change on the way is not in it: signatures, headers of ours and the trace of the request.
func RequestHash(method, target string, header http.Header, body []byte) string {
	return requestHash(requestHead(method, target, header), body)
}

func requestHead(method, target string, header http.Header) []byte {
	type line struct {
		name   string
		values []string
	}
	lines := make([]line, 0, len(header))
	for name, values := range header {
		lower := strings.ToLower(name)
		switch {
		case strings.HasPrefix(lower, "truc-"), lower == "traceparent", lower == "tracestate", lower == "signature", lower == "signature-input", lower == "content-digest",
			slices.Contains(hopHeaders, http.CanonicalHeaderKey(name)):
			continue
		}
		lines = append(lines, line{lower, values})
	}
	slices.SortFunc(lines, func(a, b line) int { return strings.Compare(a.name, b.name) })
	head := make([]byte, 0, 1024)
	head = append(append(append(append(head, method...), "\r\n"...), target...), "\r\n"...)
	for _, l := range lines {
		for _, v := range l.values {
			head = append(append(append(append(head, l.name...), ':'), v...), "\r\n"...)
		}
	}
	return head
}
