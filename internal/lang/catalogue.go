package lang

import (
	"cmp"
	"slices"
)

// message is a sentence of the code and what it is in Chinese.
type message struct{ english, chinese string }

// catalogue is in parts, by what the sentences are about. Each is sorted by the English, so that nothing has to be built, and
// nothing is kept, where nobody reads Chinese.
var catalogue = [][]message{
	chineseCommands, chineseFrame, chineseHelp, chineseOperators, chineseServices, chineseToolHelp, chineseTools,
}

// translated returns the Chinese of a sentence, or the sentence if there is none, which a test does not let happen.
func translated(english string) string {
	for _, part := range catalogue {
		i, found := slices.BinarySearchFunc(part, english, func(m message, key string) int { return cmp.Compare(m.english, key) })
		if found {
			return part[i].chinese
		}
	}
	return english
}
