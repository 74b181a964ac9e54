package ui

import "html/template"

// icon returns one of the icons: 20 units square, one stroke width, in the colour of the text. They repeat a word
// beside them, so they are hidden from screen readers.
func icon(name string) template.HTML {
	path, ok := iconPaths[name]
	if !ok {
		return ""
	}
	return template.HTML(`<svg class="tr-icon" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true" focusable="false">` + path + `</svg>`) //nolint:gosec // constants below
}

var iconPaths = map[string]string{
	"back":     `<path d="M12.500 4.500 7 10l5.500 5.500"/>`,
	"next":     `<path d="M7.500 4.500 13 10l-5.500 5.500"/>`,
	"check":    `<circle cx="10" cy="10" r="8"/><path d="m6.300 10.300 2.500 2.500 4.900-5.300"/>`,
	"warn":     `<path d="M10 2.800 18.200 17H1.800z"/><path d="M10 8v4.200M10 14.300v.4"/>`,
	"info":     `<circle cx="10" cy="10" r="8"/><path d="M10 9.200v5M10 5.800v.4"/>`,
	"hand":     `<circle cx="10" cy="10" r="8"/><path d="M10 5.500v5.200M10 13.800v.4"/>`,
	"clock":    `<circle cx="10" cy="10" r="8"/><path d="M10 5.300V10l3.200 2.200"/>`,
	"register": `<ellipse cx="10" cy="5" rx="6.500" ry="2.500"/><path d="M3.500 5v10c0 1.400 2.900 2.500 6.500 2.500s6.500-1.100 6.500-2.500V5M3.500 10c0 1.400 2.900 2.500 6.500 2.500s6.500-1.100 6.500-2.500"/>`,
	"paper":    `<path d="M5 2.500h6.500L15 6v11.500H5z"/><path d="M11.500 2.500V6H15"/>`,
	"search":   `<circle cx="8.700" cy="8.700" r="5.700"/><path d="m13 13 4.500 4.500"/>`,
	"print":    `<path d="M6 7V2.500h8V7M6 14.500H3V7h14v7.500h-3"/><path d="M6 12h8v5.500H6z"/>`,
	"download": `<path d="M10 3v9.500M6 9l4 3.800L14 9M3.500 17h13"/>`,
	"person":   `<circle cx="10" cy="6.500" r="3.500"/><path d="M3 17.500c0-3.700 3.100-6 7-6s7 2.300 7 6"/>`,
}
