// Package lang embeds the message catalogue: one JSON file a module and language, lang/vi/<module>.json and
// lang/en/<module>.json, each a flat object from key to text with {named} placeholders. Files are kept per
// module so that a module's texts stand in one screen and two people rarely edit the same file.
package lang

import "embed"

// FS holds vi/*.json and en/*.json.
//
//go:embed vi/*.json en/*.json
var FS embed.FS
