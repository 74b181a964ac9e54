package demo

import (
	"slices"
	"strings"

	"truc/internal/app"
	"truc/internal/exchange"
	"truc/internal/exchange/agreement"
)

const documentsBasis = "Quyết định 28/2018/QĐ-TTg"

// keepsDocuments reports whether an agency runs a document desk: the four beside the center that people visit.
func (a agency) keepsDocuments() bool {
	return slices.Contains([]string{population, civil, lamDong, hue}, a.code) && a.server != "node2"
}

// clerks ("văn thư") by agency; like all people here they are invented.
var clerks = map[string]string{
	lamDong: "K' Thị Bảo Ngọc", hue: "Công Tằng Tôn Nữ Thu Hiền", population: "Vũ Thị Kim Dung", civil: "Đỗ Thị Mai Phương",
}

// documentOfficers are those of a ministry who draft, sign and keep documents.
func documentOfficers(a agency) []app.OfficerConfig {
	if !a.keepsDocuments() {
		return nil
	}
	low := strings.ToLower(a.code)
	names := map[string][2]string{population: {"Ngô Quốc Dũng", "Bùi Thanh Sơn Hải"}, civil: {"Phan Hữu Lộc", "Lương Thị Hồng Vân"}}[a.code]
	return []app.OfficerConfig{
		{Account: low + ".chuyenvien", Name: names[0], Title: "Chuyên viên", Agency: a.code, Roles: []string{"officer"}},
		{Account: low + ".lanhdao", Name: names[1], Title: "Chánh Văn phòng", Agency: a.code, Roles: []string{"head"}},
		{Account: low + ".vanthu", Name: clerks[a.code], Title: "Văn thư", Agency: a.code, Roles: []string{"clerk"}},
	}
}

// vxpSystem is an external system of the VXP protocol with its agency.
type vxpSystem struct{ id, code, name string }

// vxpSystems are two that know nothing of Truc; any VXP client can be them. Codes and names are invented.
var vxpSystems = []vxpSystem{{"vidu.01", "G98", "Bộ Ví Dụ"}, {"vidu.02", "H99", "UBND tỉnh Ví Dụ"}}

func (l *layout) axisSubsystem() string { return subsystem(l.center().code, "axis") }

// configDocuments adds the axis to the center and a desk to the agencies that keep one.
func (l *layout) configDocuments(c *app.Config, a agency) {
	if a.kind == "center" {
		c.Axis.Enabled = true
		for _, s := range vxpSystems {
			c.Axis.Systems = append(c.Axis.Systems, app.AxisSystemConfig{ID: s.id, Name: s.name, SecretFile: l.secretPath("vxp-" + s.id), MayRegister: true})
			c.Axis.Agencies = append(c.Axis.Agencies, app.AxisAgencyConfig{Code: s.code, Name: s.name, System: s.id})
		}
		for _, service := range []string{"axis/messages", "axis/agencies", "axis/receipts", "axis/payloads"} {
			c.Exchange.Rules = append(c.Exchange.Rules, exchange.Rule{Consumer: "VN/GOV/*/documents", Service: service, Basis: documentsBasis})
		}
		return
	}
	if !a.keepsDocuments() {
		return
	}
	c.Sign.Development = true
	office := app.OfficeConfig{Code: a.code, Place: c.Desk.Place}
	switch a.code {
	case lamDong:
		office.Letters, office.Address = "UBND", "Số 4 Trần Hưng Đạo, Đà Lạt"
		office.Name = "ỦY BAN NHÂN DÂN TỈNH LÂM ĐỒNG"
	case hue:
		office.Letters, office.Name = "UBND", "ỦY BAN NHÂN DÂN THÀNH PHỐ HUẾ"
	case population:
		office.Letters, office.Place, office.Name = "BCA", "Hà Nội", "BỘ CÔNG AN"
	case civil:
		office.Letters, office.Place, office.Name = "BTP", "Hà Nội", "BỘ TƯ PHÁP"
	}
	office.Units = []app.UnitConfig{{Letters: "VP", Name: "Văn phòng"}, {Letters: "TH", Name: "Phòng Tổng hợp"}}
	c.Documents = app.DocumentsConfig{Enabled: true, Axis: l.axisSubsystem(), Offices: []app.OfficeConfig{office}}
	for _, service := range []string{"documents/inbox", "documents/payloads"} {
		c.Exchange.Rules = append(c.Exchange.Rules, exchange.Rule{Consumer: l.axisSubsystem(), Service: service, Basis: documentsBasis})
	}
}

// documentGrants are what the center and an agency with a desk have agreed.
func documentGrants(center, a agency) []agreement.Grant {
	desk, axis := subsystem(a.code, "documents"), subsystem(center.code, "axis")
	const purpose, data = "document-exchange", "văn bản hành chính, không có bí mật nhà nước"
	return []agreement.Grant{
		grant(desk, axis+"/messages", "*", "**", purpose, documentsBasis, data),
		grant(desk, axis+"/agencies", "*", "**", purpose, documentsBasis),
		grant(desk, axis+"/receipts", "*", "**", purpose, documentsBasis),
		grant(desk, axis+"/payloads", "*", "**", purpose, documentsBasis, data),
		grant(axis, desk+"/inbox", "*", "**", purpose, documentsBasis, data),
		grant(axis, desk+"/payloads", "*", "**", purpose, documentsBasis, data),
	}
}

// VXPDescription says how a VXP client reaches the axis.
type VXPDescription struct {
	// BaseURL is what the client is told as endpoint.
	BaseURL string                 `json:"baseUrl"`
	Systems []VXPSystemDescription `json:"systems"`
}

// VXPSystemDescription is one external system.
type VXPSystemDescription struct {
	SystemID string `json:"systemId"`
	Secret   string `json:"secret"`
	Agency   struct {
		Code string `json:"code"`
		Name string `json:"name"`
	} `json:"agency"`
}

func (l *layout) describeVXP() (VXPDescription, error) {
	d := VXPDescription{BaseURL: l.center().webURL() + "/vxp"}
	for _, s := range vxpSystems {
		secret, err := l.secret("vxp-" + s.id)
		if err != nil {
			return d, err
		}
		x := VXPSystemDescription{SystemID: s.id, Secret: secret}
		x.Agency.Code, x.Agency.Name = s.code, s.name
		d.Systems = append(d.Systems, x)
	}
	return d, nil
}
