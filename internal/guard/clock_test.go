package guard_test

import (
	"time"
)

// jumpy is a wall clock that can jump beside a clock of the time that has passed.
type jumpy struct {
	wall   time.Time
	passed time.Duration
}

func newJumpy() *jumpy { return &jumpy{wall: time.Unix(1_800_000_000, 0)} }

func (c *jumpy) now() time.Time { return c.wall }

func (c *jumpy) elapsed() time.Duration { return c.passed }

func (c *jumpy) jump(by time.Duration) { c.wall = c.wall.Add(by) }

func (c *jumpy) pass(d time.Duration) {
	c.jump(d)
	c.passed += d
}
