package tools

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// InstanceSummary counts instances, and the accelerators that they occupy.
type InstanceSummary struct {
	Of           string                `json:"of" jsonschema:"enum=all,enum=part" jsonschema_description:"all: of all that match in all regions asked; part: of those that were read, see notes and regions"`
	Instances    int                   `json:"instances" jsonschema_description:"How many"`
	Accelerators int                   `json:"accelerators" jsonschema_description:"Occupied now: by all but those that are Waiting, Terminated, Failed or Completed"`
	ByStatus     []InstanceStatusCount `json:"by_status" jsonschema_description:"By status, the most frequent first"`
	ByType       []InstanceTypeCount   `json:"by_accelerator_type" jsonschema_description:"By kind of accelerator, the most occupied first"`
}

// InstanceStatusCount is how many instances have a status.
type InstanceStatusCount struct {
	Status       string `json:"status,omitempty" jsonschema_description:"The service's word"`
	Instances    int    `json:"instances" jsonschema_description:"How many"`
	Accelerators int    `json:"accelerators" jsonschema_description:"Occupied by them"`
}

// InstanceTypeCount is how many instances are of a kind of accelerator.
type InstanceTypeCount struct {
	Type         string `json:"accelerator_type,omitempty" jsonschema_description:"Kind of accelerator"`
	Instances    int    `json:"instances" jsonschema_description:"How many"`
	Accelerators int    `json:"accelerators" jsonschema_description:"Occupied by them"`
}

// kindCount is how many instances are of one status and kind of accelerator, and what they occupy.
type kindCount struct{ instances, accelerators int }

type instanceKind struct{ status, accelerator string }

// tally counts instances without keeping them.
type tally map[instanceKind]kindCount

// maxKinds bounds a tally: statuses and kinds of accelerators are words of the service, which may be any.
const maxKinds = 100

func (t tally) add(in scnet.Instance) {
	kind := instanceKind{text.Field(string(in.Status)), text.Field(in.AcceleratorType)}
	if documented, ok := scnet.ParseStatus(kind.status); ok {
		kind.status = string(documented)
	}
	if _, known := t[kind]; !known && len(t) >= maxKinds {
		kind = instanceKind{"other", "other"}
	}
	count := t[kind]
	count.instances++
	if occupies(in.Status) {
		count.accelerators += in.TotalAccelerators()
	}
	t[kind] = count
}

// summaryOfInstances adds tallies up.
func summaryOfInstances(all bool, tallies ...tally) InstanceSummary {
	s := InstanceSummary{Of: "part", ByStatus: []InstanceStatusCount{}, ByType: []InstanceTypeCount{}}
	if all {
		s.Of = "all"
	}
	for _, t := range tallies {
		for kind, n := range t {
			s.Instances += n.instances
			s.Accelerators += n.accelerators
			i := slices.IndexFunc(s.ByStatus, func(c InstanceStatusCount) bool { return c.Status == kind.status })
			if i < 0 {
				i, s.ByStatus = len(s.ByStatus), append(s.ByStatus, InstanceStatusCount{Status: kind.status})
			}
			s.ByStatus[i].Instances += n.instances
			s.ByStatus[i].Accelerators += n.accelerators
			i = slices.IndexFunc(s.ByType, func(c InstanceTypeCount) bool { return c.Type == kind.accelerator })
			if i < 0 {
				i, s.ByType = len(s.ByType), append(s.ByType, InstanceTypeCount{Type: kind.accelerator})
			}
			s.ByType[i].Instances += n.instances
			s.ByType[i].Accelerators += n.accelerators
		}
	}
	slices.SortFunc(s.ByStatus, func(a, b InstanceStatusCount) int {
		return cmp.Or(b.Instances-a.Instances, cmp.Compare(a.Status, b.Status))
	})
	slices.SortFunc(s.ByType, func(a, b InstanceTypeCount) int {
		return cmp.Or(b.Accelerators-a.Accelerators, b.Instances-a.Instances, cmp.Compare(a.Type, b.Type))
	})
	return s
}

// String words the summary in English.
func (s InstanceSummary) String() string { return s.In(lang.English) }

// In words the summary for people: what is occupied, and how many have which status.
func (s InstanceSummary) In(l lang.Lang) string {
	var kinds []string
	var statuses []lang.Text
	for _, c := range s.ByType {
		if c.Accelerators > 0 {
			kinds = append(kinds, strings.TrimSpace(fmt.Sprintf("%d %s", c.Accelerators, c.Type)))
		}
	}
	for _, c := range s.ByStatus {
		words := fmt.Sprintf("%d %s", c.Instances, text.Dash(c.Status))
		switch {
		case c.Accelerators > 0:
			words += fmt.Sprintf(" (%d)", c.Accelerators)
		case scnet.Waiting.Is(scnet.Status(c.Status)):
			statuses = append(statuses, lang.T("%s (none yet)", words))
			continue
		}
		statuses = append(statuses, lang.Verbatim(words))
	}
	occupied := lang.T("%s occupied.", lang.Count(s.Accelerators, "accelerator"))
	if kinds != nil {
		occupied = lang.T("%s occupied: %s.", lang.Count(s.Accelerators, "accelerator"), lang.Names(kinds))
	}
	return lang.Sentences(occupied, lang.T("%s: %s.", lang.Count(s.Instances, "instance"), lang.List(statuses...))).In(l)
}
