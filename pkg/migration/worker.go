package migration

import "time"

// WorkerState is what is told of a worker process.
type WorkerState string

// The worker's states.
const (
	WorkerRunning  WorkerState = "running"  // takes passes
	WorkerDraining WorkerState = "draining" // takes none, and hands back those it has
	WorkerDrained  WorkerState = "drained"  // has none left, and waits to be ended
	WorkerGone     WorkerState = "gone"     // its counter stands still
)

// Worker is one process that runs passes, as its own beats tell of it.
type Worker struct {
	ID          string
	Host        string
	PID         int
	Version     string
	Concurrency int // passes that it runs at once
	State       WorkerState
	// StartedAt and Since (of the state) are by the clock of whoever wrote them: to be
	// shown, never to be compared.
	StartedAt, Since time.Time
	// LapsedAt is when it was last found gone, by an observer's clock; zero: never. It may
	// have come back since.
	LapsedAt time.Time
	// Drain is set once an operator asked for it.
	Drain bool
	// Beat is raised every few seconds; an observer that saw it stand still for long
	// enough on its own clock takes the worker for gone.
	Beat int64
	// Running is how many passes it holds.
	Running int
	// Tempo is how long its latest passes took.
	Tempo Tempo
}

// TakesWork tells whether the worker's slots count.
func (w Worker) TakesWork() bool { return w.State == WorkerRunning && !w.Drain }

// Capacity is how many passes the workers run at once.
func Capacity(workers []Worker) int {
	n := 0
	for _, w := range workers {
		if w.TakesWork() {
			n += w.Concurrency
		}
	}
	return n
}

// Tempo is how long passes take, by kind.
type Tempo map[PassKind]Work

// Work is the passes' time, and how many users it brought to their end: a user that
// needed several slices counts once.
type Work struct {
	Users   float64 `json:"users"`
	Seconds float64 `json:"seconds"`
}

// tempoUsers is over how many users a tempo goes: after that many, what was before
// counts half.
const tempoUsers = 200

// Add counts a pass that took a time; ended is whether its user was done with it.
func (t Tempo) Add(kind PassKind, took time.Duration, ended bool) {
	w := t[kind]
	if w.Users >= tempoUsers {
		w.Users, w.Seconds = w.Users/2, w.Seconds/2
	}
	w.Seconds += took.Seconds()
	if ended {
		w.Users++
	}
	t[kind] = w
}

// Tempos adds up what several workers measured.
func Tempos(workers []Worker) Tempo {
	sum := Tempo{}
	for _, w := range workers {
		for kind, one := range w.Tempo {
			s := sum[kind]
			sum[kind] = Work{Users: s.Users + one.Users, Seconds: s.Seconds + one.Seconds}
		}
	}
	return sum
}

// Mean is how long a user of a kind takes: as measured; else as a user of any kind, but
// that a preflight tells nothing of a sync.
func (t Tempo) Mean(kind PassKind) (time.Duration, bool) {
	w := t[kind]
	if w.Users == 0 {
		w = Work{}
		for k, other := range t {
			if k == Preflighting {
				continue
			}
			w.Users += other.Users
			w.Seconds += other.Seconds
		}
	}
	if w.Users == 0 {
		return 0, false
	}
	return time.Duration(w.Seconds / w.Users * float64(time.Second)), true
}
