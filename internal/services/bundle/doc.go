// Package bundle reads procedure bundles: the folder of files that says everything about one administrative
// procedure ("thủ tục hành chính") — its facts, cases, forms, fees, time limits, flow, slips and examples.
//
// A bundle is data. [Load] checks it whole and reports every fault at once with file, line and a proposal in
// Vietnamese and English; what it returns is immutable, compiled and safe for concurrent use. The package is
// pure: it knows no SQL, no HTTP server, no clock and no language but that of the bundle. What a dossier looks
// like at the moment of a question comes in as [Facts].
//
// The way through a submission, as the services module walks it:
//
//	p, problems := bundle.Load(os.DirFS("procedures/2.000635"))
//	c, err := p.Case(facts)                          // which case ("trường hợp") of the procedure
//	form := p.Form(c)                                // the interactive form of that case
//	page := form.NextPage(facts, "")                 // first page; then NextPage(facts, page.ID) … nil = check answers
//	patch, bad := form.ReadPage(page, facts, values) // parse what the browser sent
//	facts.Answers = facts.Answers.Merge(patch)
//	bad = append(bad, form.ValidatePage(page, facts)...)
//	needs, err := p.Papers(c, facts)                 // which papers, which the state knows already
//	quote, err := p.Fee(c, facts)                    // lines, every exemption, total
//	bad = form.Validate(facts)                       // everything, before submission
//	actions := p.Allowed(facts, roles...)            // for the desk, disabled ones with the reason
//	step, err := p.Flow.Next(state, previous, "receive")
//	html, err := p.Render("slip-01", data)           // HTML subset for the PDF writer
//
// Expressions are CEL (cost-limited, type-checked against the schema of the form). They see answers; prefill.<group>
// {ok, status}; person {kind, policyGroups, level, age}; fee {total, paid, due}; papers {allJudged, missing,
// rejected}; dossier {state, previous, channel, date, supplements, extensions, hasResult}; the functions
// days(from, to) and years(from, to) on dates as text; and tables.<name>(…) for the decision tables of fees.yaml.
//
// A version that dossiers are pinned to is kept as [Pack] bytes; [Unpack] gives the file tree back and Hash
// proves that it is the same.
package bundle
