// Package registers is one engine for authoritative registers ("cơ sở dữ liệu"): population, civil status and any
// other that a schema file describes. A register has one owner agency, whose node is the only truth; everybody else
// asks it over the exchange.
//
// A read goes: purpose → policy of the processing activity → search → filter → processing lines, one for each person
// whose data are delivered, stored durably → answer. No line, no data. A read that finds nobody leaves no line about
// a person, only a count.
//
// A write appends entries; the state of a record is the fold of its entries and is never edited. Each entry names the
// legal act it rests on and the hash of salted commitments to every field, so that a value can later be redacted
// without breaking a hash.
//
// The package knows no SQL, no HTTP and no other module. What it asks of others is in ports.go.
//
// Words of the law: activity = "hoạt động xử lý dữ liệu cá nhân", basis = "căn cứ pháp lý", dossier = "hồ sơ",
// personal number = "số định danh cá nhân".
package registers
