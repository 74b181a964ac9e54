package paper

import (
	"encoding/xml"
	"maps"
	"slices"
	"strings"

	"truc/internal/i18n"
)

// fill returns a copy of the tree with values in its controls; text are the values that hold here.
func (n *node) fill(v Values, text map[string]string) *node {
	if n.name == "" {
		return n
	}
	out := &node{name: n.name, attrs: n.attrs, wordName: n.wordName}
	for _, k := range n.kids {
		tag := k.tag()
		rows, isRows := v.Rows[tag]
		value, isText := text[tag]
		switch {
		case tag != "" && isRows:
			out.kids = append(out.kids, k.repeat(v, text, rows)...)
		case tag != "" && isText:
			out.kids = append(out.kids, k.with(value))
		default:
			out.kids = append(out.kids, k.fill(v, text))
		}
	}
	return out
}

// repeat returns the content of a control once for each row, without the control: its number must not occur twice. A value of
// the row goes before one of the document.
func (n *node) repeat(v Values, text map[string]string, rows []map[string]string) []*node {
	content := n.child("sdtContent")
	if content == nil {
		return nil
	}
	var out []*node
	for _, r := range rows {
		here := make(map[string]string, len(text)+len(r))
		maps.Copy(here, text)
		maps.Copy(here, r)
		one := content.fill(v, here)
		one.each(func(m *node) {
			if m.wordName == "sdtPr" {
				m.drop("id")
			}
		})
		out = append(out, one.kids...)
	}
	return out
}

// drop removes children by their name.
func (n *node) drop(names ...string) {
	n.kids = slices.DeleteFunc(slices.Clone(n.kids), func(k *node) bool { return k.wordName != "" && slices.Contains(names, k.wordName) })
}

// with returns a copy of a control whose content is a value. Paragraph and type are those of the first in the template; the
// look of a placeholder goes, and so does a binding to data, which would bring the old text back.
func (n *node) with(value string) *node {
	out := n.fill(Values{}, nil)
	if pr := out.child("sdtPr"); pr != nil {
		pr.drop("showingPlcHdr", "dataBinding", "text")
		pr.kids = slices.DeleteFunc(pr.kids, func(k *node) bool { return strings.HasSuffix(k.name, ":dataBinding") })
	}
	content := out.child("sdtContent")
	if content == nil {
		return out
	}
	prefix := strings.TrimSuffix(content.name, "sdtContent")
	value = i18n.NFC(strings.ReplaceAll(value, "\r\n", "\n"))
	content.kids = content.replaced(prefix, value)
	return out
}

// replaced is the content of a control with a value: cells and rows keep their frame, paragraphs are repeated line by line.
func (n *node) replaced(prefix, value string) []*node {
	for _, k := range n.kids {
		switch k.wordName {
		case "tr", "tc":
			// The value goes into the first cell; what surrounds it stays.
			first := true
			var kids []*node
			for _, m := range n.kids {
				if first && m.wordName == k.wordName {
					m = &node{name: m.name, attrs: m.attrs, wordName: m.wordName, kids: m.replaced(prefix, value)}
					first = false
				}
				kids = append(kids, m)
			}
			return kids
		case "p":
			return n.paragraphs(prefix, value)
		}
	}
	return []*node{run(prefix, n.firstRun(), value)}
}

// paragraphs makes one paragraph a line, in the style of the first that is there. What is no paragraph, such as the
// properties of a cell, stays before them.
func (n *node) paragraphs(prefix, value string) []*node {
	var out []*node
	var model *node
	for _, k := range n.kids {
		switch {
		case k.wordName == "p" && model == nil:
			model = k
		case k.wordName == "tcPr":
			out = append(out, k)
		}
	}
	for line := range strings.SplitSeq(value, "\n") {
		p := &node{name: model.name, wordName: "p"}
		if pr := model.child("pPr"); pr != nil {
			p.kids = append(p.kids, pr)
		}
		p.kids = append(p.kids, run(prefix, model.firstRun(), line))
		out = append(out, p)
	}
	return out
}

// firstRun finds the first run within, whose type the value gets.
func (n *node) firstRun() (found *node) {
	n.each(func(m *node) {
		if found == nil && m.wordName == "r" {
			found = m
		}
	})
	return found
}

// run writes a value as a run with the type of another; line feeds break its lines.
func run(prefix string, like *node, value string) *node {
	r := &node{name: prefix + "r", wordName: "r"}
	if like != nil {
		if pr := like.child("rPr"); pr != nil {
			pr = &node{name: pr.name, attrs: pr.attrs, wordName: pr.wordName, kids: pr.kids}
			if st := pr.child("rStyle"); st != nil && strings.Contains(strings.ToLower(st.attr("val")), "placeholder") {
				pr.drop("rStyle")
			}
			r.kids = append(r.kids, pr)
		}
	}
	for i, line := range strings.Split(value, "\n") {
		if i > 0 {
			r.kids = append(r.kids, &node{name: prefix + "br", wordName: "br"})
		}
		r.kids = append(r.kids, &node{
			name: prefix + "t", wordName: "t", attrs: []xml.Attr{{Name: xml.Name{Space: "xml", Local: "space"}, Value: "preserve"}}, kids: []*node{{text: line}},
		})
	}
	return r
}

// Values are what a document can put into a template: the nine parts and the optional ones, under the names below.
func (p *Paper) Values() Values {
	places, receivers := cleaned(p.ToPlaces), cleaned(p.Receivers)
	urgency, _, _ := p.Urgency.mark()
	v := Values{
		Text: map[string]string{
			"superior": upper(p.Superior), "agency": upper(p.Agency), "number": p.Number, "notation": p.Notation, "code": number(p), "place": p.Place,
			"dateline": dateline(p.Place, p.Date), "date": dayOf(p.Date), "type": upper(p.TypeName), "subject": p.Subject, "receivers": strings.Join(receivers, "\n"),
			"body": p.Body, "competence": upper(p.Competence), "position": upper(p.Position), "signer": p.Signer, "to_places": strings.Join(places, "\n"),
			"urgency": urgency, "circulation": upper(p.Circulation), "drafter": upper(p.DrafterMark), "address": p.Address,
		},
		Rows: map[string][]map[string]string{"receiver_rows": {}, "to_place_rows": {}},
	}
	for _, r := range receivers {
		v.Rows["receiver_rows"] = append(v.Rows["receiver_rows"], map[string]string{"receiver": r})
	}
	for _, s := range places {
		v.Rows["to_place_rows"] = append(v.Rows["to_place_rows"], map[string]string{"to_place": s})
	}
	return v
}
