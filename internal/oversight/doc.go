// Package oversight counts what agencies do with the dossiers of their applicants: what they offer and at which level,
// what they received, finished in time, finished late and ended otherwise, and how people rated it (Decree 224/2026
// Article 19.1: measurement is continuous, for each service and each party).
//
// Nobody types a number. Agencies tell facts, one for each event of a dossier, in an order of their own numbering;
// [Service.Pull] asks every agency for what is new over the exchange, keeps the facts and folds those of a dossier into
// one row ([Fold]). Every number is a condition over such rows, and the list that opens behind it is the rows of the
// same condition (see oversightstore), so that the two cannot disagree.
//
//	agency → facts over the exchange → Pull → Store.Append: facts + fold in one transaction → Indicators, List → pages
//
// The package knows no person: facts carry numbers of dossiers, never names. It knows neither the services module nor
// the exchange; it reads their messages in its own words ([ParseFacts], [ParseCatalogue]).
package oversight
