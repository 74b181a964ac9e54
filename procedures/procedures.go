// Package procedures embeds the procedure bundles that the product ships. Each folder is a bundle; see
// docs/adding-a-procedure.md.
package procedures

import "embed"

// FS holds one folder a bundle.
//
//go:embed [0-9].*
var FS embed.FS
