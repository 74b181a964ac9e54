package bundle

import (
	"fmt"
	"strings"
)

// message is one kind of fault: what is wrong and what to do, in both languages. These texts are for authors of
// bundles and stand beside the rules they belong to; texts for citizens and officers are in the catalogue.
type message struct{ vi, en, hint, hintEN string }

var messages = map[string]message{
	"cannotRead":      {"Không đọc được tệp: {what}.", "The file cannot be read: {what}.", "", ""},
	"missingFile":     {"Thiếu tệp {path}.", "File {path} is missing.", "Thêm tệp hoặc sửa đường dẫn.", "Add the file or correct the path."},
	"strangeFile":     {"Tệp {path} không thuộc định dạng gói thủ tục.", "File {path} is not part of the bundle format.", "Xóa tệp hoặc chuyển vào cases/, forms/, templates/, tables/, tests/.", "Delete it or move it into cases/, forms/, templates/, tables/, tests/."},
	"unusedFile":      {"Tệp {path} không được dùng ở đâu.", "File {path} is not used anywhere.", "Xóa tệp hoặc tham chiếu tới tệp.", "Delete it or refer to it."},
	"unsafePath":      {"Tên tệp {path} không an toàn.", "File name {path} is not safe.", "Chỉ dùng chữ thường không dấu, số, dấu chấm, gạch nối và gạch dưới.", "Use only ASCII letters, digits, dots, hyphens and underscores."},
	"tooLarge":        {"Tệp lớn hơn {max} byte.", "The file is larger than {max} bytes.", "Chia nhỏ hoặc rút gọn tệp.", "Split or shorten it."},
	"tooMany":         {"Quá nhiều {what}: tối đa {max}.", "Too many {what}: at most {max}.", "Rút gọn gói.", "Shorten the bundle."},
	"yaml":            {"Sai cú pháp YAML: {what}.", "YAML syntax error: {what}.", "Kiểm tra thụt lề, dấu hai chấm và dấu ngoặc.", "Check indentation, colons and brackets."},
	"json":            {"Sai cú pháp JSON: {what}.", "JSON syntax error: {what}.", "Kiểm tra dấu phẩy, ngoặc kép và ngoặc nhọn.", "Check commas, quotes and braces."},
	"csv":             {"Sai cú pháp CSV: {what}.", "CSV syntax error: {what}.", "Mỗi dòng phải có đủ số cột.", "Every line needs all columns."},
	"tooDeep":         {"Cấu trúc lồng quá sâu hoặc quá nhiều giá trị.", "The structure nests too deep or holds too many values.", "Rút gọn tệp.", "Simplify the file."},
	"oneDocument":     {"Tệp chứa nhiều tài liệu YAML.", "The file holds several YAML documents.", "Mỗi tệp một tài liệu; bỏ dấu ---.", "One document a file; remove ---."},
	"noAnchors":       {"Không dùng neo, bí danh, nhãn hay khóa gộp của YAML.", "YAML anchors, aliases, tags and merge keys are not used.", "Viết lại giá trị đầy đủ.", "Write the value out."},
	"doubleKey":       {"Khóa “{what}” lặp lại.", "Key “{what}” is doubled.", "Giữ lại một khóa.", "Keep one of them."},
	"unknownKey":      {"Khóa “{key}” không có trong định dạng.", "Key “{key}” is not part of the format.", "Các khóa dùng được: {known}.", "Known keys: {known}."},
	"missingKey":      {"Thiếu “{key}”.", "“{key}” is missing.", "Thêm khóa “{key}”.", "Add the key “{key}”."},
	"wrongType":       {"Giá trị sai kiểu.", "The value has the wrong type.", "Cần: {want}.", "Wanted: {want}."},
	"unknownWord":     {"Không có giá trị “{word}”.", "There is no value “{word}”.", "Chọn một trong: {known}.", "Choose one of: {known}."},
	"badName":         {"Tên “{name}” không hợp lệ.", "Name “{name}” is not valid.", "Dùng chữ cái không dấu, số; bắt đầu bằng chữ cái.", "Use ASCII letters and digits, a letter first."},
	"badCode":         {"Mã thủ tục “{code}” sai định dạng.", "Procedure code “{code}” has the wrong format.", "Định dạng d.dddddd, ví dụ 2.000635.", "The format is d.dddddd, such as 2.000635."},
	"badSource":       {"Không hiểu nguồn điền sẵn “{source}”.", "Prefill source “{source}” is not understood.", "Viết register:<cơ sở dữ liệu>/<bản ghi>#<trường> hoặc profile#<trường>.", "Write register:<register>/<record>#<field> or profile#<field>."},
	"reason":          {"Dịch vụ công một phần phải công bố lý do (Điều 14 Nghị định 224/2026/NĐ-CP).", "A partial service must publish its reason (Decree 224/2026 Art 14).", "Thêm service.reason.", "Add service.reason."},
	"untilFrom":       {"Ngày hết hiệu lực trước ngày có hiệu lực.", "The version ends before it begins.", "Sửa version.until.", "Correct version.until."},
	"noCase":          {"Trường hợp “{id}” không có tệp cases/{id}.yaml.", "Case “{id}” has no file cases/{id}.yaml.", "Thêm tệp hoặc bỏ tên khỏi cases.", "Add the file or remove the name from cases."},
	"oneForm":         {"Trường hợp này có {n} giấy tờ gắn biểu mẫu; cần đúng một.", "This case has {n} papers with a form; exactly one is needed.", "Gắn form cho đúng một giấy tờ.", "Give exactly one paper a form."},
	"cel":             {"Biểu thức sai: {what}.", "The expression is wrong: {what}.", "Sửa biểu thức; tên câu hỏi phải đúng như trong biểu mẫu.", "Correct it; names of answers must be those of the form."},
	"caseOverlap":     {"Trường hợp “{a}” và “{b}” cùng khớp với một bộ trả lời: {with}.", "Cases “{a}” and “{b}” both match the answers {with}.", "Sửa điều kiện when để đúng một trường hợp khớp.", "Change `when` so that exactly one matches."},
	"caseHole":        {"Không trường hợp nào khớp với bộ trả lời: {with}.", "No case matches the answers {with}.", "Thêm trường hợp hoặc mở rộng điều kiện when.", "Add a case or widen `when`."},
	"caseNever":       {"Trường hợp “{id}” không bao giờ khớp.", "Case “{id}” never matches.", "Sửa điều kiện when hoặc bỏ trường hợp.", "Change `when` or remove the case."},
	"normOverLegal":   {"Thời hạn cam kết dài hơn thời hạn luật định.", "The norm is longer than the legal limit.", "Rút ngắn norm hoặc sửa legal.", "Shorten norm or correct legal."},
	"badTerm":         {"Thời hạn không hợp lệ: {what}.", "The time limit is not valid: {what}.", "Xem amount, unit và count.", "Look at amount, unit and count."},
	"cutoffClock":     {"Giờ chốt nhận (cutoff) không dùng được với cách đếm theo giờ (clock).", "A cutoff cannot be used when working time is counted (clock).", "Bỏ cutoff hoặc dùng count: dayExclusive.", "Remove cutoff or use count: dayExclusive."},
	"badWarn":         {"Mốc cảnh báo “{spec}” không hợp lệ.", "Warning “{spec}” is not valid.", "Viết 50%, -4h hoặc -2d.", "Write 50%, -4h or -2d."},
	"pauseResume":     {"Có pauseOn nhưng không có resumeOn, hoặc ngược lại.", "pauseOn without resumeOn, or the reverse.", "Khai cả hai.", "State both."},
	"lostState":       {"Không thể tới trạng thái “{state}” từ “{start}”.", "State “{state}” cannot be reached from “{start}”.", "Thêm hành động dẫn tới trạng thái hoặc bỏ trạng thái.", "Add an action that leads there or remove the state."},
	"deadEnd":         {"Từ trạng thái “{state}” không có đường tới trạng thái kết thúc.", "From state “{state}” no way leads to a final state.", "Thêm hành động rời khỏi trạng thái hoặc đánh dấu final: true.", "Add an action that leaves it or mark it final: true."},
	"finalLeaves":     {"Trạng thái kết thúc “{state}” vẫn có hành động “{action}”.", "Final state “{state}” still has the action “{action}”.", "Bỏ trạng thái khỏi from.", "Remove it from `from`."},
	"noNational":      {"Trạng thái “{state}” thiếu mã trạng thái quốc gia (1–10).", "State “{state}” has no national status code (1–10).", "Thêm national theo bảng mã trạng thái hồ sơ.", "Add `national` from the list of dossier statuses."},
	"nationalFinal":   {"Mã quốc gia {code} không hợp với trạng thái “{state}”.", "National code {code} does not suit state “{state}”.", "Mã 3, 7, 8, 10 là kết thúc; 5 và 6 là tạm dừng.", "Codes 3, 7, 8, 10 are final; 5 and 6 are pauses."},
	"unknownState":    {"Không có trạng thái “{state}”.", "There is no state “{state}”.", "Các trạng thái: {known}.", "States: {known}."},
	"unknownRole":     {"Không có vai trò “{role}”.", "There is no role “{role}”.", "Các vai trò: {known}.", "Roles: {known}."},
	"noTarget":        {"Hành động “{action}” không có to và không có keepState.", "Action “{action}” has neither `to` nor keepState.", "Thêm to hoặc keepState: true.", "Add `to` or keepState: true."},
	"notPaused":       {"Hành động “{action}” quay về @previous nhưng “{state}” không phải trạng thái tạm dừng.", "Action “{action}” returns to @previous but “{state}” is no pause.", "Đánh dấu paused: true hoặc ghi rõ trạng thái đích.", "Mark it paused: true or name the target."},
	"shareOver":       {"Tổng share của các trạng thái vượt 100%.", "The shares of the states exceed 100 %.", "Giảm share.", "Lower the shares."},
	"widget":          {"Không có kiểu ô nhập “{widget}”.", "There is no widget “{widget}”.", "Chọn một trong: {known}.", "Choose one of: {known}."},
	"widgetType":      {"Ô {widget} cần kiểu {want} trong schema, đang là {got}.", "Widget {widget} needs the schema type {want}, not {got}.", "Sửa schema hoặc đổi ô nhập.", "Correct the schema or the widget."},
	"noProperty":      {"Schema không có “{ptr}”.", "The schema has no “{ptr}”.", "Thêm thuộc tính vào schema hoặc sửa ptr.", "Add the property or correct ptr."},
	"notAsked":        {"Thuộc tính “{ptr}” của schema không được hỏi ở trang nào.", "No page asks for the property “{ptr}” of the schema.", "Thêm ô nhập hoặc bỏ thuộc tính.", "Add a field or remove the property."},
	"askedTwice":      {"“{ptr}” được hỏi hai lần.", "“{ptr}” is asked twice.", "Giữ lại một ô nhập.", "Keep one field."},
	"hiddenNeed":      {"Schema bắt buộc “{ptr}” nhưng biểu mẫu có thể không hỏi.", "The schema requires “{ptr}”, which the form may not ask.", "Bỏ khỏi required; ô đang hiện mà không optional thì luôn phải trả lời.", "Take it out of `required`; a field that is shown must be answered unless optional."},
	"requiredUnknown": {"required nhắc tới “{name}” nhưng không có thuộc tính đó.", "`required` names “{name}”, which is no property.", "Thêm thuộc tính hoặc bỏ tên.", "Add the property or remove the name."},
	"noOptions":       {"Ô {widget} không có danh sách lựa chọn.", "Widget {widget} has no choices.", "Thêm enum vào schema.", "Add enum to the schema."},
	"noText":          {"Thiếu câu chữ “{key}” trong {file}.", "Text “{key}” is missing in {file}.", "Thêm dòng {key}: …", "Add a line {key}: …"},
	"spareText":       {"Câu chữ “{key}” không được dùng.", "Text “{key}” is not used.", "Xóa dòng này.", "Delete the line."},
	"schema":          {"JSON Schema không hợp lệ: {what}.", "The JSON Schema is not valid: {what}.", "Xem chuẩn JSON Schema 2020-12.", "See JSON Schema 2020-12."},
	"noForm":          {"Không có biểu mẫu {form}.", "There is no form {form}.", "Thêm {form}.schema.json, {form}.ui.json và {form}.vi.yaml.", "Add {form}.schema.json, {form}.ui.json and {form}.vi.yaml."},
	"knownBy":         {"Không có nhóm điền sẵn “{group}”.", "There is no prefill group “{group}”.", "Các nhóm: {known}.", "Groups: {known}."},
	"tableHead":       {"Dòng đầu của bảng phải là: {want}.", "The first line of the table must be: {want}.", "Sửa dòng đầu hoặc khai báo inputs, outputs.", "Correct it or the inputs and outputs."},
	"tableCell":       {"Ô “{cell}” ở cột {column} không hiểu được.", "Cell “{cell}” in column {column} is not understood.", "Viết -, giá trị đã khai, số, 0..60, <=60 hoặc >60.", "Write -, a declared value, a number, 0..60, <=60 or >60."},
	"tableHole":       {"Bảng chưa đủ: không dòng nào khớp khi {case}.", "The table is incomplete: no row matches when {case}.", "Thêm dòng cho trường hợp này.", "Add a row for it."},
	"tableDouble":     {"Dòng này và dòng {other} cùng khớp khi {case}.", "This row and row {other} both match when {case}.", "Sửa điều kiện hoặc đặt hit: first.", "Change the conditions or set hit: first."},
	"tableDead":       {"Dòng này không bao giờ được dùng.", "This row is never used.", "Bỏ dòng hoặc đưa lên trên.", "Remove it or move it up."},
	"template":        {"Mẫu không dựng được: {what}.", "The template does not render: {what}.", "Tên trường của mẫu xem trong DocumentData.", "See DocumentData for the fields."},
	"templateTag":     {"Thẻ <{tag}> không thuộc tập HTML của bản in.", "Tag <{tag}> is not in the HTML subset for print.", "Thẻ dùng được: {known}.", "Known tags: {known}."},
	"noTemplate":      {"Không có mẫu “{name}”.", "There is no template “{name}”.", "Thêm tệp vào templates/ hoặc dùng mẫu mặc định: {known}.", "Add it to templates/ or use a default: {known}."},
	"testFails":       {"Ví dụ “{name}” sai: {what} là {got}, mong đợi {want}.", "Example “{name}” fails: {what} is {got}, expected {want}.", "Sửa gói hoặc sửa ví dụ.", "Correct the bundle or the example."},
	"noTests":         {"Gói không có ví dụ kiểm thử nào trong tests/.", "The bundle has no examples in tests/.", "Thêm ít nhất một hồ sơ mẫu với kết quả mong đợi.", "Add at least one example dossier with what is expected."},
	"doubleVersion":   {"Phiên bản “{id}” của thủ tục {code} có hai gói.", "Version “{id}” of procedure {code} has two bundles.", "Đổi version.id hoặc bỏ một gói.", "Change version.id or remove one."},
}

// problem makes a Problem of a message; args are name, value pairs.
func problem(file string, line int, key string, args ...any) Problem {
	m, ok := messages[key]
	if !ok {
		m = message{vi: key, en: key}
	}
	pairs := make([]string, 0, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		v := fmt.Sprint(args[i+1])
		if r := []rune(v); len(r) > 400 {
			v = string(r[:400]) + "…"
		}
		pairs = append(pairs, "{"+fmt.Sprint(args[i])+"}", v)
	}
	r := strings.NewReplacer(pairs...)
	return Problem{
		File: file, Line: line, key: key,
		Message: r.Replace(m.vi), MessageEN: r.Replace(m.en), Hint: r.Replace(m.hint), HintEN: r.Replace(m.hintEN),
	}
}
