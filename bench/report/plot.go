package report

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// The plot's measures, in pixels.
const (
	nameWidth  = 110
	panelWidth = 330
	barHeight  = 18
	rowHeight  = 26
	topHeight  = 56
	textRoom   = 90 // right of the longest bar, for its figure
)

// SVG is a plot of one workload: bars of what was achieved, and of what the
// proxy spent on it; medians, with a line from the least to the most.
func (w Result) SVG() string {
	var rows []Variant
	for _, v := range w.Variants {
		if len(v.Rounds) > 0 {
			rows = append(rows, v)
		}
	}
	height := topHeight + rowHeight*len(rows) + 10
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n",
		nameWidth+2*panelWidth, height)
	fmt.Fprintf(&out, `<rect width="100%%" height="100%%" fill="#fff"/><text x="8" y="20" font-size="14">%s</text>`+"\n", escape(w.Name+": "+w.What))
	for i, v := range rows {
		fmt.Fprintf(&out, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", nameWidth-8, barTop(i)+13, escape(v.Peer))
	}
	if chief, ok := w.first(chiefs); ok {
		panel(&out, nameWidth, chief, rows, "#3b7ea1")
	}
	if cost, ok := w.first(costs); ok {
		panel(&out, nameWidth+panelWidth, cost, rows, "#b5652b")
	}
	out.WriteString("</svg>\n")
	return out.String()
}

func barTop(row int) int { return topHeight + rowHeight*row }

func panel(out *strings.Builder, left int, c column, rows []Variant, color string) {
	most := 0.0
	for _, v := range rows {
		if spread, ok := v.spread(c.metric); ok {
			most = max(most, spread.Most)
		}
	}
	fmt.Fprintf(out, `<text x="%d" y="%d" fill="#555">%s</text>`+"\n", left, topHeight-10, escape(c.title))
	if most == 0 {
		return
	}
	x := func(value float64) float64 { return max(0, value) / most * (panelWidth - textRoom) }
	for i, v := range rows {
		spread, ok := v.spread(c.metric)
		if !ok {
			continue
		}
		middle := barTop(i) + barHeight/2
		fmt.Fprintf(out, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, left, barTop(i), x(spread.Median), barHeight, color)
		fmt.Fprintf(out, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#222"/>`,
			float64(left)+x(spread.Least), middle, float64(left)+x(spread.Most), middle)
		fmt.Fprintf(out, `<text x="%.1f" y="%d">%s</text>`+"\n", float64(left)+x(spread.Most)+6, middle+4, number(spread.Median/c.scale))
	}
}

func escape(text string) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(text)) // a strings.Builder takes everything
	return out.String()
}
