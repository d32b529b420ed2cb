package simulator

import (
	"slices"
	"time"
)

// Task is a task as the simulator itself sees it.
type Task struct {
	ID             string
	Type           string // SCRIPT or COMMAND
	PoolID         string
	ScriptIDs      []string
	DesktopIDs     []string
	GrayDesktopIDs []string
	Status         string // one of the State constants, whatever the quirks call it
	Succeeded      int
	Failed         int
	Skipped        int
	Created        time.Time
	End            time.Time // when it ends if nobody stops it
}

// Record is a record as the simulator itself sees it.
type Record struct {
	ID           string
	TaskID       string
	ScriptID     string
	DesktopID    string
	Status       string // one of the State constants, whatever the quirks call it
	ExecuteOrder int
	ResultCode   string
	Reason       string
	Start, End   time.Time // when it starts and ends if nobody stops it
	Replaced     bool      // a retry in the same task has taken its place
}

// Tasks returns all tasks, oldest first, in the state of this moment.
func (s *Simulator) Tasks() []Task {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Task, len(s.tasks))
	for i, t := range s.tasks {
		all[i] = Task{
			ID: t.id, Type: t.kind, PoolID: t.pool.ID,
			DesktopIDs: slices.Clone(t.resources), GrayDesktopIDs: slices.Clone(t.gray),
			Status: t.state(now), Created: t.created, End: t.last().end,
		}
		for _, ref := range t.refs() {
			all[i].ScriptIDs = append(all[i].ScriptIDs, ref.ID)
		}
		all[i].Succeeded, all[i].Failed, all[i].Skipped = t.count(now)
	}
	return all
}

// Records returns the records of a task in the state of this moment, also
// those that answers do not show.
func (s *Simulator) Records(taskID string) []Record {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.task(taskID)
	if t == nil {
		return nil
	}
	var all []Record
	for _, r := range t.rounds {
		for _, rec := range r.records {
			all = append(all, Record{
				ID: rec.id, TaskID: t.id, ScriptID: rec.script.ID, DesktopID: rec.desktop.ID,
				Status: rec.state(now), ExecuteOrder: rec.order, ResultCode: rec.code, Reason: rec.reason,
				Start: rec.start, End: rec.end, Replaced: rec.replaced,
			})
		}
	}
	return all
}
