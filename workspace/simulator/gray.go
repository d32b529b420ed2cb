package simulator

import "slices"

// gray is the part of a rollout that goes first.
type gray struct {
	count     int // wins over ids
	ids       []string
	threshold int
}

// limits checks what does not depend on the desktops. That the threshold is
// less than the count is documented; with ids instead of a count, their number
// is assumed to be meant. A threshold of 0 is assumed to be none.
func (g gray) limits(c *check) {
	size := g.count
	if size == 0 {
		size = len(g.ids)
	}
	if g.threshold > 0 && g.threshold >= size {
		c.fail("gray_fail_threshold is %d, which is not less than the number of gray resources, %d", g.threshold, size)
	}
}

// outsider returns a gray desktop that is not among the desktops, if there is
// one. With a count, the ids do not matter.
func (g gray) outsider(desktops []string) string {
	if g.count > 0 {
		return ""
	}
	for _, id := range g.ids {
		if !slices.Contains(desktops, id) {
			return id
		}
	}
	return ""
}

// ordered is a desktop with its execute_order.
type ordered struct {
	desktop string
	order   int
}

// orders deals the desktops into batches, the gray one first. Which desktops a
// count selects is not documented: it is assumed to be the first ones of the
// list, or all of them when it exceeds their number.
func (g gray) orders(desktops []string) []ordered {
	first := g.ids
	if g.count > 0 {
		first = desktops[:min(g.count, len(desktops))]
	}
	rest := orderPlain
	if len(first) > 0 {
		rest = orderRest
	}
	var all []ordered
	for _, id := range first {
		all = append(all, ordered{id, orderGray})
	}
	for _, id := range desktops {
		if !slices.Contains(first, id) {
			all = append(all, ordered{id, rest})
		}
	}
	return all
}
