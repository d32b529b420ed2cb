package metrics

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxLabels is how many labels a metric of ours may have.
const maxLabels = 4

// The kinds of metrics, as Prometheus names them.
const (
	counter   = "counter"
	gauge     = "gauge"
	histogram = "histogram"
	summary   = "summary"
)

// labels are the values of a metric's labels, in the order of their names.
type labels [maxLabels]string

// family is one metric, with a series for every combination of label values that was used. It is safe for concurrent use.
type family struct {
	name, kind, help string
	names            []string  // of the labels
	bounds           []float64 // of a histogram: the upper bounds of its buckets

	mu     sync.Mutex
	series map[labels]*series
}

// series is what was counted for one combination of label values.
type series struct {
	value   float64  // of a counter or a gauge; of a histogram, the sum
	buckets []uint64 // of a histogram: how many were observed in each bucket; the last has no bound
}

func newFamily(name, kind, help string, names ...string) *family {
	return &family{name: name, kind: kind, help: help, names: names, series: map[labels]*series{}}
}

// at returns the series that has the values. f.mu must be held.
func (f *family) at(values []string) *series {
	var key labels
	copy(key[:], values)
	s := f.series[key]
	if s == nil {
		s = &series{}
		if f.kind == histogram {
			s.buckets = make([]uint64, len(f.bounds)+1)
		}
		f.series[key] = s
	}
	return s
}

// add adds to a counter or a gauge.
func (f *family) add(amount float64, values ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at(values).value += amount
}

// observe adds a duration to a histogram. One below 0, which a clock that was set back makes, counts as 0: a histogram's sum
// must not fall.
func (f *family) observe(took time.Duration, values ...string) {
	seconds := max(took, 0).Seconds()
	bucket, _ := slices.BinarySearch(f.bounds, seconds)
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.at(values)
	s.value += seconds
	s.buckets[bucket]++
}

// write appends all series of the metric, in the order of their labels.
func (f *family) write(out *exposition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.series) == 0 {
		return
	}
	out.head(f.name, f.kind, f.help)
	keys := slices.SortedFunc(maps.Keys(f.series), func(a, b labels) int { return slices.Compare(a[:], b[:]) })
	for _, key := range keys {
		s, pairs := f.series[key], make([]string, 0, maxLabels*2)
		for i, name := range f.names {
			if key[i] != "" { // which Prometheus takes for a label that is not there
				pairs = append(pairs, name, key[i])
			}
		}
		if f.kind != histogram {
			out.sample(f.name, s.value, pairs...)
			continue
		}
		var total uint64
		for i, n := range s.buckets {
			total += n
			bound := "+Inf"
			if i < len(f.bounds) {
				bound = number(f.bounds[i])
			}
			out.sample(f.name+"_bucket", float64(total), append(pairs, "le", bound)...)
		}
		out.sample(f.name+"_sum", s.value, pairs...)
		out.sample(f.name+"_count", float64(total), pairs...)
	}
}

// exposition is Prometheus' text format, version 0.0.4.
type exposition struct{ text bytes.Buffer }

// head begins a metric.
func (e *exposition) head(name, kind, help string) {
	e.text.WriteString("# HELP " + name + " " + help + "\n# TYPE " + name + " " + kind + "\n")
}

var escapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// sample writes one value. pairs are the names and values of its labels.
func (e *exposition) sample(name string, value float64, pairs ...string) {
	e.text.WriteString(name)
	for i, part := range pairs {
		switch {
		case i == 0:
			e.text.WriteString("{" + part)
		case i%2 == 0:
			e.text.WriteString("," + part)
		default:
			e.text.WriteString(`="` + escapes.Replace(part) + `"`)
		}
	}
	if len(pairs) > 0 {
		e.text.WriteByte('}')
	}
	e.text.WriteString(" " + number(value) + "\n")
}

// one writes a metric that has one value and no labels.
func (e *exposition) one(name, kind, help string, value float64) {
	e.head(name, kind, help)
	e.sample(name, value)
}

func number(value float64) string { return strconv.FormatFloat(value, 'g', -1, 64) }
