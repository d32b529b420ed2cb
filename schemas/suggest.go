package schemas

import "strings"

// suggest returns the valid name that an unknown one was probably meant to
// be, or nothing.
func suggest(unknown string, valid []string) string {
	if len(unknown) > 80 { // too far from any valid name to be worth the work
		return ""
	}
	for _, name := range valid {
		if squeeze(name) == squeeze(unknown) {
			return name
		}
	}
	best, bestDistance := "", 3
	for _, name := range valid {
		d := distance(strings.ToLower(unknown), name)
		if d < bestDistance && 2*d <= max(len(unknown), len(name)) {
			best, bestDistance = name, d
		}
	}
	return best
}

var separators = strings.NewReplacer("_", "", "-", "", " ", "", ".", "")

// squeeze makes instanceIds, instance-ids and instance_ids the same.
func squeeze(name string) string {
	return separators.Replace(strings.ToLower(name))
}

// distance counts the characters to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
