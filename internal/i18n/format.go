package i18n

import (
	"strconv"
	"strings"
	"time"
)

// Date returns 21/11/2026.
func Date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(Zone).Format("02/01/2006")
}

// DateTime returns 14:30 21/11/2026, as Vietnamese forms write it.
func DateTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(Zone).Format("15:04 02/01/2006")
}

var weekdays = map[string][7]string{
	"vi": {"Chủ nhật", "thứ Hai", "thứ Ba", "thứ Tư", "thứ Năm", "thứ Sáu", "thứ Bảy"},
	"en": {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"},
}

// LongDate returns "thứ Bảy, 21/11/2026" or "Saturday, 21/11/2026".
func LongDate(lang string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	days, ok := weekdays[lang]
	if !ok {
		days = weekdays["vi"]
	}
	return days[t.In(Zone).Weekday()] + ", " + Date(t)
}

// Number groups the digits of n by thousands: 1.234.567 in Vietnamese, 1,234,567 in English.
func Number(lang string, n int64) string {
	sep := "."
	if lang == "en" {
		sep = ","
	}
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteString(sep)
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// Money returns an amount of whole đồng: "25.000 đồng" or "25,000 VND".
func Money(lang string, dong int64) string {
	if lang == "en" {
		return Number(lang, dong) + " VND"
	}
	return Number(lang, dong) + " đồng"
}
