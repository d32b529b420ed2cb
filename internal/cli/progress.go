package cli

import (
	"fmt"
	"io"
	"sync"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

// progressLine shows on one line of a terminal how far a long wait has come.
type progressLine struct {
	out  io.Writer
	lang lang.Lang

	mu    sync.Mutex
	shown bool
	over  bool
}

const clearLine = "\r\x1b[K"

// report implements toolbox.Progress.
func (p *progressLine) report(done, total int, message lang.Text) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	far := ""
	if total > 0 {
		far = fmt.Sprintf("%d/%d  ", done, total)
	}
	p.shown = true
	_, _ = fmt.Fprintf(p.out, "%s%s%s", clearLine, far, message.In(p.lang))
}

// end takes the line away, and lets no other come.
func (p *progressLine) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		_, _ = io.WriteString(p.out, clearLine)
	}
	p.shown, p.over = false, true
}

var _ toolbox.Progress = (&progressLine{}).report
