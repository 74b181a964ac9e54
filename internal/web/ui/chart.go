package ui

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bar is one bar of a BarChart.
type Bar struct {
	Label string
	Value float64
	// Text is the value as people read it: "93,4 %". Note is a quieter companion: "7 nút không trả lời".
	Text, Note string
	URL        string // the list behind the number
	Tone       Tone
}

// BarChart is ranked bars in a table: "ui/bar-chart". Each bar stands in the row of its label and its number, so
// that long names wrap, and the chart and the table of its data are one thing. Bars start at zero.
type BarChart struct {
	Title, Desc string
	// LabelHead and ValueHead are the heads of the columns.
	LabelHead, ValueHead string
	Bars                 []Bar
	// Target draws a line through all bars; TargetText says it in words. Zero: none.
	Target     float64
	TargetText string
	// Max is the end of the scale; zero takes the largest value.
	Max float64
}

func (c BarChart) scale() float64 {
	m := max(c.Max, c.Target)
	for _, b := range c.Bars {
		m = max(m, b.Value)
	}
	if m <= 0 || math.IsInf(m, 0) || math.IsNaN(m) {
		return 1
	}
	return m
}

// Width is the length of a bar in the 200 units of its box.
func (c BarChart) Width(b Bar) string { return coord(200 * clamp(b.Value/c.scale())) }

// TargetX is the place of the target line.
func (c BarChart) TargetX() string { return coord(200 * clamp(c.Target/c.scale())) }

func clamp(f float64) float64 {
	if math.IsNaN(f) || f < 0 {
		return 0
	}
	return min(f, 1)
}

func coord(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }

// Point is one value of a TrendChart. A Missing point leaves a gap in the line: silence is not zero.
type Point struct {
	Label   string
	Value   float64
	Text    string
	Missing bool
}

// TrendChart is a line over time with its data in a table below: "ui/trend-chart".
type TrendChart struct {
	// Name tells several charts of a page apart; letters and digits.
	Name                 string
	Title, Desc          string
	LabelHead, ValueHead string
	Points               []Point
	// Target draws a dashed line; TargetText labels it. Empty text: none.
	Target     float64
	TargetText string
	// From is where the vertical axis begins, zero unless there is a reason; FromText then says so in words.
	From     float64
	FromText string
	// Max is the end of the axis if fixed (100 for shares); zero takes a round number above the data.
	Max float64
	// Unit follows the numbers of the axis: "%", " giờ".
	Unit string
}

// The plot area within the view box of 560 × 260.
const (
	chartLeft, chartRight = 56.0, 544.0
	chartTop, chartBottom = 18.0, 218.0
	chartLabelsAtMost     = 7
	chartTicksRoughly     = 5
)

// Tick is a line of the grid or a label of an axis, in units of the view box.
type Tick struct {
	X, Y, Text string
	// Anchor of a label is "middle" or "end": which part of it stands at X.
	Anchor string
}

func (c TrendChart) top() float64 {
	m := c.Target
	for _, p := range c.Points {
		if !p.Missing {
			m = max(m, p.Value)
		}
	}
	if c.Max > 0 {
		return max(c.Max, c.From+1)
	}
	if m <= c.From || math.IsInf(m, 0) || math.IsNaN(m) {
		return c.From + 1
	}
	s := step((m - c.From) / chartTicksRoughly)
	return c.From + math.Ceil((m-c.From)/s)*s
}

// step rounds up to 1, 2 or 5 times a power of ten.
func step(f float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(f)))
	for _, k := range []float64{1, 2, 5} {
		if f <= k*p {
			return k * p
		}
	}
	return 10 * p
}

func (c TrendChart) y(v float64) float64 {
	return chartBottom - (chartBottom-chartTop)*clamp((v-c.From)/(c.top()-c.From))
}

func (c TrendChart) x(i int) float64 {
	if len(c.Points) < 2 {
		return (chartLeft + chartRight) / 2
	}
	return chartLeft + 12 + (chartRight-chartLeft-24)*float64(i)/float64(len(c.Points)-1)
}

// YTicks are the lines of the grid.
func (c TrendChart) YTicks() []Tick {
	s := step((c.top() - c.From) / chartTicksRoughly)
	var out []Tick
	for v := c.From; v <= c.top()+s/1000; v += s {
		out = append(out, Tick{X: coord(chartLeft - 8), Y: coord(c.y(v)), Text: strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64) + c.Unit})
	}
	return out
}

// XTicks are the labels below, thinned out so that they do not touch; first and last are always there.
func (c TrendChart) XTicks() []Tick {
	n := len(c.Points)
	every := max(1, int(math.Ceil(float64(n-1)/float64(chartLabelsAtMost-1))))
	var out []Tick
	for i := n - 1; i >= 0; i -= every {
		t := Tick{X: coord(c.x(i)), Y: coord(chartBottom + 22), Text: c.Points[i].Label, Anchor: "middle"}
		if i == n-1 && n > 1 { // a long label would leave the picture
			t.X, t.Anchor = coord(chartRight+14), "end"
		}
		out = append(out, t)
	}
	return out
}

// Lines are the stretches of the line between gaps, as points of polylines.
func (c TrendChart) Lines() []string {
	var out []string
	var b strings.Builder
	for i, p := range c.Points {
		if p.Missing {
			if b.Len() > 0 {
				out = append(out, b.String())
				b.Reset()
			}
			continue
		}
		fmt.Fprintf(&b, "%.1f,%.1f ", c.x(i), c.y(p.Value))
	}
	if b.Len() > 0 {
		out = append(out, b.String())
	}
	return out
}

// Dots are the points of the line.
func (c TrendChart) Dots() []Tick {
	var out []Tick
	for i, p := range c.Points {
		if !p.Missing {
			out = append(out, Tick{X: coord(c.x(i)), Y: coord(c.y(p.Value)), Text: p.Label + ": " + p.Text})
		}
	}
	return out
}

// TargetY is the place of the target line; TargetLabelY that of its words, above it unless there is no room.
func (c TrendChart) TargetY() string { return coord(c.y(c.Target)) }

// TargetLabelY is where the words of the target line stand.
func (c TrendChart) TargetLabelY() string {
	if y := c.y(c.Target); y > chartTop+14 {
		return coord(y - 6)
	}
	return coord(c.y(c.Target) + 16)
}
