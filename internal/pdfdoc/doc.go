// Package pdfdoc renders a small subset of HTML as PDF, so that slips, letters and results of procedures are
// html/template files that anybody can edit.
//
// The page is A4 with the margins of Decree 30/2020/NĐ-CP (top 20, bottom 20, left 30, right 20 mm), the type is
// Tinos, embedded. Page numbers stand centred in the top margin from the second page on, as the decree wants.
//
// Elements, with their attributes; everything else is an error that names it, since a letter that silently lost
// a paragraph is worse than none:
//
//	h1 h2 h3 p div span        class: center right small muted indent (p: first line), columns (div)
//	strong b em i u br
//	hr                         width="40%"
//	table thead tbody tfoot tr class="grid" (default) or "plain"; a thead is repeated on every page
//	th td                      width="30%" colspan="2" align="left|center|right"
//	ul ol li
//	div class="columns"        its child divs stand side by side, centred: agency left, motto right; width="42%"
//	qr                         data="…" size="28" (mm, quiet zone included), drawn as vectors
//	space                      mm="8"
//	signature-box              name="head" label="…" w="70" h="30" (mm): reserves a place, see Document.Boxes
//	html head body title meta  accepted, title and meta are ignored
//
// qr, space and signature-box need no end tag; they are placed by the class of what is around them.
//
// The file has a classic cross-reference table, no encryption and no object streams, so that an incremental
// update can sign it. The same input and Now give the same bytes.
package pdfdoc
