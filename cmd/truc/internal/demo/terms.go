package demo

import (
	"os"
	"path/filepath"
	"time"

	"truc/internal/exchange/agreement"
	"truc/internal/services"
)

// The demonstration's agreements end with the year after next; a network in use would agree for its own time.
var termsEnd = time.Date(2028, 12, 31, 17, 0, 0, 0, time.UTC) // midnight in Viet Nam

// unverified marks legal bases that nobody has checked for this use, as the product does everywhere.
const unverified = " (chưa thẩm tra)"

// terms is an agreement between two agencies as both sides have it in their configuration.
type terms struct {
	asks, answers agency
	grants        []agreement.Grant
}

func (t terms) concerns(a agency) bool { return a.code == t.asks.code || a.code == t.answers.code }

func (l *layout) termsPath(t terms) string {
	return filepath.Join(l.opt.Dir, "agreements", t.asks.code+"-"+t.answers.code+".json")
}

// grant lets a subsystem call a service for one purpose.
func grant(consumer, service, method, path, purpose, basis string, categories ...string) agreement.Grant {
	return agreement.Grant{
		Type: agreement.Connect, Service: agreement.Service{ID: service, Methods: []string{method}, Paths: []string{path}},
		Consumer: &agreement.Consumer{Subsystem: consumer},
		Purpose:  agreement.Purpose{Code: purpose, LegalBasis: basis + unverified, DataCategories: categories},
		Evidence: agreement.Evidence{Body: "digest"},
	}
}

// terms are what the agencies have agreed: each province with the center and with the two ministries whose registers it
// asks, and the center's portal with the ministries.
func (l *layout) terms() []terms {
	center := l.center()
	portal, overs := subsystem(center.code, "portal"), subsystem(center.code, "oversight")
	var registers []agency
	for _, a := range l.agencies {
		if a.code == population || a.code == civil {
			registers = append(registers, a)
		}
	}
	const filing = "Điều 15 Nghị định 224/2026/NĐ-CP"
	var out []terms
	for _, p := range l.provinces() {
		onestop := subsystem(p.code, "onestop")
		dossiers := subsystem(p.code, "onestop/dossiers")
		out = append(out, terms{p, center, []agreement.Grant{
			grant(onestop, subsystem(center.code, "portal/notices"), "POST", "**", "dossier-status", "Điều 15.1.g Nghị định 224/2026/NĐ-CP", "tình trạng hồ sơ"),
			grant(portal, dossiers, "*", "**", "submission", filing, "hồ sơ thủ tục hành chính"),
			grant(portal, dossiers, "GET", "/catalogue", "catalogue", filing),
			grant(overs, dossiers, "GET", "/catalogue", "oversight", "Điều 19 Nghị định 224/2026/NĐ-CP"),
			grant(overs, subsystem(p.code, "onestop/facts"), "*", "**", "oversight", "Điều 19 Nghị định 224/2026/NĐ-CP", "số liệu không có dữ liệu cá nhân"),
		}})
		if p.keepsDocuments() {
			out[len(out)-1].grants = append(out[len(out)-1].grants, documentGrants(center, p)...)
		}
		for _, r := range registers {
			grants := []agreement.Grant{grant(onestop, registerOf(r), "POST", "**", services.ActivityVerify, services.BasisPrefill, registerData(r))}
			if r.code == civil {
				grants = append(grants, grant(onestop, subsystem(r.code, notaryService), "GET", "/v1/**", notaryActivity, notaryBasis, "tổ chức hành nghề công chứng, không có dữ liệu cá nhân"))
			}
			out = append(out, terms{p, r, grants})
		}
	}
	for _, r := range registers {
		usage := subsystem(r.code, "population/usage")
		if r.code == civil {
			usage = subsystem(r.code, "civilstatus/usage")
		}
		out = append(out, terms{center, r, []agreement.Grant{
			grant(portal, registerOf(r), "POST", "**", services.ActivityPrefill, services.BasisPrefill, registerData(r)),
			grant(portal, usage, "*", "**", services.ActivitySelf, "Điều 4 Luật Bảo vệ dữ liệu cá nhân 91/2025/QH15", "nhật ký sử dụng dữ liệu của chính người hỏi"),
		}})
		if r.keepsDocuments() {
			out[len(out)-1].grants = append(out[len(out)-1].grants, documentGrants(center, r)...)
		}
	}
	return out
}

func registerOf(a agency) string {
	if a.code == civil {
		return registerServices["civilstatus/event"]
	}
	return registerServices["population/person"]
}

func registerData(a agency) string {
	if a.code == civil {
		return "sự kiện hộ tịch"
	}
	return "thông tin cơ bản về cư trú và nhân thân"
}

// writeTerms writes the agreements, the same file for both sides.
func (l *layout) writeTerms() error {
	if err := os.MkdirAll(filepath.Join(l.opt.Dir, "agreements"), 0o700); err != nil {
		return err
	}
	for _, t := range l.terms() {
		d := agreement.Document{Instance: "VN", Validity: agreement.Validity{NotAfter: termsEnd.Unix()}, Grants: t.grants}
		if err := writeJSON(l.termsPath(t), d); err != nil {
			return err
		}
	}
	return nil
}
