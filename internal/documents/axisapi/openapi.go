package axisapi

import (
	_ "embed" // the description
	"net/http"
	"strings"
)

// description is the OpenAPI document of the REST binding at the default prefix.
//
//go:embed openapi.json
var description string

// v1Description gives the description, with the address it was asked at.
func (a *API) v1Description(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Write([]byte(strings.Replace(description, `"url": "`+DefaultPrefix+`/v1"`, `"url": "`+a.prefix()+`/v1"`, 1)))
	return nil
}
