// Package calendar knows the working time of Vietnamese offices and computes when a dossier is due.
//
// It is pure: a [Calendar] is an immutable value, [Calendar.Due] is a function of the start instant, the rule,
// the pauses and the extensions, and its answer carries an explanation that names every day that was skipped.
// It knows nothing about dossiers, storage or the present time.
//
// Words of the law: working day "ngày làm việc", due instant "thời hạn trả kết quả" (NgayHenTra), make-up
// workday "ngày làm bù", swapped day off "hoán đổi ngày nghỉ", overdue "quá hạn". Terms are counted as the
// Civil Code 2015 does (articles 147 and 148): the first day is excluded, and a term that ends on a day off ends
// with the next working day.
package calendar
