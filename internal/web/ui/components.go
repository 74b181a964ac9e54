package ui

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// All texts of components are in the language of the page already: take them from Page.T or from data.

// Input is a text field: "ui/input".
type Input struct {
	Name, Label, Hint, Value string
	Error                    *Problem
	// Type is text (default), email, tel, password, search, date … Numbers are text with InputMode "numeric".
	Type         string
	Autocomplete string // such as "name", "bday-day", "tel"; see WCAG 1.3.5
	InputMode    string
	// Width in characters: "2", "4", "5", "10", "12", "20", "30"; empty is the full column.
	Width          string
	Prefix, Suffix string
	MaxLength      int
	// Big makes the label the h1 of a page that asks one question.
	Big      bool
	Optional bool // adds "(không bắt buộc)"
	ReadOnly bool
	// Source says where a prefilled value comes from.
	Source *Source
}

// ID is the id of the control.
func (c Input) ID() string { return FieldID(c.Name) }

// Textarea is a field of several lines: "ui/textarea".
type Textarea struct {
	Name, Label, Hint, Value string
	Error                    *Problem
	Rows                     int // default 5
	MaxLength                int // said in words below the label
	Big, Optional            bool
}

// ID is the id of the control.
func (c Textarea) ID() string { return FieldID(c.Name) }

// Lines returns Rows or its default.
func (c Textarea) Lines() int {
	if c.Rows > 0 {
		return c.Rows
	}
	return 5
}

// Option is a choice of Radios, Checkboxes and Select.
type Option struct {
	Value, Label, Hint string
	// Disabled choices give the reason in Hint.
	Disabled bool
}

// Radios is a choice of one: "ui/radios".
type Radios struct {
	Name, Legend, Hint string
	Value              string // of the chosen option
	Options            []Option
	Error              *Problem
	Big, Optional      bool
	Inline             bool // for two short choices
	Source             *Source
}

// ID is the id of the group; the first control has FieldID(Name).
func (c Radios) ID() string { return FieldID(c.Name) }

// Checkboxes is a choice of any number: "ui/checkboxes".
type Checkboxes struct {
	Name, Legend, Hint string
	Values             []string // of the chosen options
	Options            []Option
	Error              *Problem
	Big                bool
	// NoLegend hides the legend for the eye, for a single box such as a declaration.
	NoLegend bool
}

// ID is the id of the group; the first control has FieldID(Name).
func (c Checkboxes) ID() string { return FieldID(c.Name) }

// Select is a choice from a long list: "ui/select". Prefer Radios up to seven choices.
type Select struct {
	Name, Label, Hint, Value string
	// Empty is the text of an empty first choice; no such choice when "".
	Empty         string
	Options       []Option
	Error         *Problem
	Big, Optional bool
	Source        *Source
}

// ID is the id of the control.
func (c Select) ID() string { return FieldID(c.Name) }

// Date3 asks for a date in three fields named Name-day, Name-month and Name-year: "ui/date3".
type Date3 struct {
	Name, Legend, Hint string
	Day, Month, Year   string
	Error              *Problem
	// Birthday lets the browser fill in.
	Birthday      bool
	Big, Optional bool
	Source        *Source
}

// ID is the id of the group; the first control has FieldID(Name).
func (c Date3) ID() string { return FieldID(c.Name) }

// ReadDate3 reads the three fields of a date from a form.
func ReadDate3(form url.Values, name string) (day, month, year string) {
	get := func(part string) string { return strings.TrimSpace(form.Get(name + "-" + part)) }
	return get("day"), get("month"), get("year")
}

// Time returns the date as midnight UTC, and whether the three fields are a date of the calendar.
func (c Date3) Time() (time.Time, bool) {
	d, err1 := strconv.Atoi(c.Day)
	m, err2 := strconv.Atoi(c.Month)
	y, err3 := strconv.Atoi(c.Year)
	if err1 != nil || err2 != nil || err3 != nil || y < 1800 || y > 2200 {
		return time.Time{}, false
	}
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	return t, t.Day() == d && int(t.Month()) == m
}

// File is a file input: "ui/file". The form needs enctype="multipart/form-data".
type File struct {
	Name, Label, Hint string
	// Accept lists kinds as people call them ("PDF", "JPG", "PNG"); MaxMB is the limit. Both are said in words.
	Accept []string
	MaxMB  int
	// Multiple allows several files at once.
	Multiple      bool
	Error         *Problem
	Big, Optional bool
	// Current are files already taken in.
	Current []FileItem
}

// FileItem is a file already taken in.
type FileItem struct {
	Name, Size, URL string
	Remove          string // value of the button name="remove"; empty shows none
}

// ID is the id of the control.
func (c File) ID() string { return FieldID(c.Name) }

// AcceptAttr is the accept attribute.
func (c File) AcceptAttr() string {
	out := make([]string, len(c.Accept))
	for i, a := range c.Accept {
		out[i] = "." + strings.ToLower(a)
	}
	return strings.Join(out, ",")
}

// Kinds lists the kinds in words.
func (c File) Kinds() string { return strings.Join(c.Accept, ", ") }

// Source says which register a value comes from and when it was read: "ui/source".
type Source struct {
	Register string
	At       time.Time
	// ReportURL leads to where a wrong value is reported; empty shows no link.
	ReportURL string
}

// Button is a button or a link that looks like one: "ui/button".
type Button struct {
	Text string
	// Kind: "" primary, "secondary", "danger", "link", "accent" (the one thing to do now; at most one a page).
	Kind string
	// URL makes it a link; Start adds the arrow of a procedure's beginning.
	URL   string
	Start bool
	// Name and Value tell several buttons of a form apart; FormAction sends the form elsewhere.
	Name, Value, FormAction string
	// Reason disables the button and says why.
	Reason string
	// NoValidate is for "Lưu và làm sau".
	NoValidate bool
}

// Action is a small link with words for those who do not see what it stands beside.
type Action struct {
	Text, URL string
	Hidden    string // "Sửa" + " họ và tên"
}

// SummaryRow is one line of a SummaryList.
type SummaryRow struct {
	Key, Value string
	// Lines are shown instead of Value when there are several.
	Lines   []string
	URL     string // makes the value a link
	Tag     *Tag
	Source  *Source
	Actions []Action
}

// SummaryList is a list of questions and answers: "ui/summary-list". Title makes it a card.
type SummaryList struct {
	Title   string
	Rows    []SummaryRow
	Actions []Action
}

// Task is one line of a TaskList. Without URL it cannot be started yet, and Hint says why.
type Task struct {
	Title, URL, Hint string
	Status           Tag
}

// TaskList is the parts of a long dossier: "ui/task-list".
type TaskList struct{ Tasks []Task }

// Tone is the meaning of a colour; a word always says it too.
type Tone string

// The tones.
const (
	Neutral Tone = ""
	Info    Tone = "info"
	Done    Tone = "done" // jade: done, in time
	Soon    Tone = "soon" // turmeric: soon due, waiting for you
	Late    Tone = "late" // vermilion: error, overdue
)

// Tag is a status in a word: "ui/tag".
type Tag struct {
	Text string
	Tone Tone
}

// Clock is the time left of a duty: "ui/clock". Words are composed by who knows the working calendar:
// "còn 2 ngày làm việc", "quá hạn 3 giờ", "tạm dừng".
type Clock struct {
	Words string
	Tone  Tone
	Due   time.Time // shown behind the words when set
}

// Panel confirms that something is done: "ui/panel". It holds the h1.
type Panel struct {
	Title string
	// Label and Ref are the number to keep: "Mã hồ sơ", "H36.14-261121-0007".
	Label, Ref, Text string
}

// Notice is a banner: "ui/notice". Tone Soon asks for something, Done confirms, Late warns; Neutral informs.
type Notice struct {
	Title, Text string
	Lines       []string
	Tone        Tone
	Action      *Action
	// Alert has it read out at once.
	Alert bool
}

// Inset is a remark set off from the text: "ui/inset". Warning adds the exclamation mark and the word.
type Inset struct {
	Text    string
	Warning bool
}

// Details hides text behind a question: "ui/details".
type Details struct {
	Summary string
	Text    string
	Lines   []string
	Open    bool
}

// Column is the head of a table column.
type Column struct {
	Text    string
	Numeric bool
	// URL sorts by the column; Sort is "ascending" or "descending" where it does now.
	URL, Sort string
	// Hidden keeps the text for screen readers only.
	Hidden bool
}

// Cell is one cell of a table.
type Cell struct {
	Text  string
	URL   string
	Sub   string // a second, quieter line
	Tag   *Tag
	Clock *Clock
	// Head makes it the header of its row; Code sets a number in fixed digits.
	Head, Code bool
}

// Row is one line of a table.
type Row struct {
	Cells []Cell
	Tone  Tone // a mark at the left edge; the words stand in a cell
}

// Table is "ui/table"; with Dense it is an officer's worklist, where j, k and Enter work if scripts run.
type Table struct {
	Caption string
	// HideCaption keeps the caption for screen readers, where a heading says the same.
	HideCaption bool
	Columns     []Column
	Rows        []Row
	// Empty is shown instead of a table without rows.
	Empty *Empty
	Dense bool
}

// Empty tells what will appear here and what to do first: "ui/empty".
type Empty struct {
	Title, Text string
	Action      *Button
}

// TimelineEvent is one step of what happened or will.
type TimelineEvent struct {
	Title string
	When  time.Time
	Who   string
	Text  string
	Lines []string
	// State: "past" (default), "now", "next", "ask" (something is asked of the reader).
	State string
	Clock *Clock
	Links []Action
}

// Timeline is "ui/timeline", in the order given.
type Timeline struct{ Events []TimelineEvent }

// Stepper is "Bước 2/5": "ui/stepper".
type Stepper struct {
	Step, Of int
	Name     string
}

// Counter is one line of Counters.
type Counter struct {
	Text, URL string
	Count     int
	Tone      Tone
	Current   bool
}

// Counters are the states at the left of a worklist: "ui/counters".
type Counters struct {
	Title string
	Items []Counter
	// Bare shows no numbers, for a list that would have to count its rows first.
	Bare bool
}

// Figure is one number of a dashboard: "ui/figures".
type Figure struct {
	Label, Value string
	// Note says what stands beside the number: the target, the period, "2 nút không trả lời".
	Note string
	URL  string
	Tone Tone
}

// Figures is a row of numbers: "ui/figures".
type Figures struct{ Items []Figure }

// Search is a search form with one field: "ui/search".
type Search struct {
	Label, Hint, Action, Name, Value string
	Big                              bool // label is the h1
	// Keep are other parameters of the address to carry along.
	Keep url.Values
}

// PageLink is one number of a Pagination; Gap stands for "…".
type PageLink struct {
	Number  int
	URL     string
	Current bool
	Gap     bool
}

// Pagination is "ui/pagination". Keyset lists have only Prev and Next.
type Pagination struct {
	Prev, Next string
	Pages      []PageLink
}

// NewPagination returns the links of page (from 1) of pages under u, by the parameter "page".
func NewPagination(u *url.URL, page, pages int) Pagination {
	at := func(n int) string {
		q := u.Query()
		q.Set("page", strconv.Itoa(n))
		if n == 1 {
			q.Del("page")
		}
		if e := q.Encode(); e != "" {
			return u.Path + "?" + e
		}
		return u.Path
	}
	var p Pagination
	if page > 1 {
		p.Prev = at(page - 1)
	}
	if page < pages {
		p.Next = at(page + 1)
	}
	last := 0
	for n := 1; n <= pages; n++ {
		if n != 1 && n != pages && (n < page-1 || n > page+1) {
			continue
		}
		if last != 0 && n != last+1 {
			p.Pages = append(p.Pages, PageLink{Gap: true})
		}
		p.Pages = append(p.Pages, PageLink{Number: n, URL: at(n), Current: n == page})
		last = n
	}
	if pages <= 1 {
		return Pagination{}
	}
	return p
}
