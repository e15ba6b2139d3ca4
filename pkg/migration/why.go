package migration

import (
	"fmt"
	"time"
)

// ReasonKind is a reason in one word, for programs.
type ReasonKind string

// The reasons why a user does not run at this moment, or that it does.
const (
	ReasonRunning     ReasonKind = "running"
	ReasonQueued      ReasonKind = "queued"      // admitted, and not begun
	ReasonDone        ReasonKind = "done"        // completed
	ReasonInStep      ReasonKind = "inStep"      // until its next sync
	ReasonRemoving    ReasonKind = "removing"    //
	ReasonNotStarted  ReasonKind = "notStarted"  // its batch is not
	ReasonStopped     ReasonKind = "stopped"     // by an operator
	ReasonCredentials ReasonKind = "credentials" // they were rejected
	ReasonFailed      ReasonKind = "failed"
	ReasonWaits       ReasonKind = "waits"   // until a time, after a fault
	ReasonHeld        ReasonKind = "held"    // the endpoint, until it is changed
	ReasonParked      ReasonKind = "parked"  // the endpoint, until a time
	ReasonResting     ReasonKind = "resting" // the endpoint, outside its hours or with the day's bytes used up
	ReasonProbe       ReasonKind = "probe"   // one goes first
	ReasonLimit       ReasonKind = "limit"   // all slots are taken
	ReasonShare       ReasonKind = "share"   // those of this kind are
	ReasonMailbox     ReasonKind = "mailbox" // somebody else writes into it
	ReasonNoWorker    ReasonKind = "noWorker"
	ReasonBusy        ReasonKind = "busy" // the workers are
	ReasonTurn        ReasonKind = "turn" // others go first
	ReasonNext        ReasonKind = "next" // it is about to be admitted
)

// Reason is why a user waits, in plain words, and what to do about it.
type Reason struct {
	Kind     ReasonKind
	What     string
	Remedy   string
	Endpoint string    // that it is about; "" for none
	Until    time.Time // zero: no time is set
}

// Rival is who else holds the user's target mailbox.
type Rival struct {
	// Batch and EmailAddress are "" where it is another organisation's.
	Batch, EmailAddress string
}

// Standing is all that decides whether a user runs now.
type Standing struct {
	User           User
	Batch          Batch
	Source, Target *Station // the same one where both sides are at one endpoint
	// Lease is the one that the user's pass holds or awaits; nil: there is none.
	Lease *Lease
	// Rival is whoever else holds the target mailbox, nil for nobody.
	Rival *Rival
	// Ahead is how many users of the batch, which alone has an order, are due and come
	// before it; admission goes round over the batches.
	Ahead int
	// Capacity is how many passes the workers run at once, Live how many are admitted.
	Capacity, Live int
}

// Why tells why a user does not run now, the reason that decides first; or that it
// does, and how far it is. Every user has at least one.
func Why(s Standing, now time.Time) []Reason {
	u := &s.User
	switch {
	case s.Lease != nil && s.Lease.State == LeaseRunning:
		return []Reason{s.running()}
	case u.Removing || u.Status == UserRemoving:
		return one(ReasonRemoving, "Nothing: it is gone within seconds.", "the user is being removed")
	case s.Lease != nil:
		return s.queued()
	case u.Status == UserCompleted || u.Status == UserCompletedWithWarnings:
		return one(ReasonDone, "Nothing; the user can be removed with its batch.", "the user is completed: it is synced no more, and its credentials are erased")
	case u.NextRunAt.IsZero():
		return s.atRest(now)
	case u.NextRunAt.After(now):
		return []Reason{s.later(now)}
	}
	return s.due(now)
}

func one(kind ReasonKind, remedy, what string, args ...any) []Reason {
	return []Reason{{Kind: kind, Remedy: remedy, What: fmt.Sprintf(what, args...)}}
}

// passNames are what people call the kinds of pass.
var passNames = map[PassKind]string{FirstSync: "first sync", Resync: "resync", LastSync: "last sync", Verify: "verify", Preflighting: "preflight"}

func (s Standing) running() Reason {
	m := s.User.Messages()
	r := Reason{Kind: ReasonRunning, Remedy: "Nothing: it gets on."}
	r.What = fmt.Sprintf("its %s runs on worker %s", passNames[s.Lease.Kind], s.Lease.WorkerID)
	if !s.Lease.Since.IsZero() {
		r.What += " since " + s.Lease.Since.UTC().Format(time.RFC3339)
	}
	switch {
	case s.Lease.Kind == Verify || s.Lease.Kind == Preflighting:
	case s.User.Running:
		r.What += fmt.Sprintf(": %d of %d folders done, %d of %d messages in step", m.FoldersDone, m.Folders, m.Unchanged+m.Copied+m.Adopted, m.Seen)
	default:
		r.What += ": it looks at both sides, or for what is new"
	}
	if s.User.Stopping || s.User.Removing {
		r.What += "; it ends at its next window, because an operator stopped or removed the user"
	}
	return r
}

func (s Standing) queued() []Reason {
	out := one(ReasonQueued, "Nothing: a worker takes it as soon as one of its slots is free.", "the user is admitted for a %s, which waits in the queue", passNames[s.Lease.Kind])
	if s.Capacity == 0 {
		out = append([]Reason{noWorker}, out...)
	}
	return out
}

var noWorker = Reason{
	Kind: ReasonNoWorker, What: "no worker takes passes",
	Remedy: "Start bin/worker, or look why those there are drained, gone or without Redis (mailhaul worker list, /readyz of the worker).",
}

// atRest tells of a user that nothing makes due by itself.
func (s Standing) atRest(now time.Time) []Reason {
	u, b := &s.User, &s.Batch
	retry := fmt.Sprintf("mailhaul user retry %s --batch %s", u.EmailAddress, b.Name)
	switch {
	case u.Status == UserNeedsCredentials:
		return one(ReasonCredentials, fmt.Sprintf("Give it the right ones: mailhaul user set-credentials %s --batch %s --password-file -; it goes on by itself.", u.EmailAddress, b.Name),
			"the credentials were rejected, and are not tried again so that no account is locked: %s", u.Reason)
	case u.Status == UserFailed:
		return one(ReasonFailed, u.Code.Remedy()+" ("+retry+")", "the user failed with %s: %s", u.Code, u.Reason)
	case b.Stopped:
		return one(ReasonStopped, "mailhaul batch start "+b.Name, "batch %s is stopped", b.Name)
	case u.Status == UserStopped:
		return one(ReasonStopped, retry, "an operator stopped the user")
	case b.StartedAt.IsZero() && b.StartAt.After(now):
		r := one(ReasonNotStarted, "Wait, or start it now: mailhaul batch start "+b.Name, "batch %s starts by itself at the time set", b.Name)
		r[0].Until = b.StartAt
		return r
	case b.StartedAt.IsZero():
		return one(ReasonNotStarted, "mailhaul batch start "+b.Name, "batch %s is not started", b.Name)
	}
	// Between two looks at the database the user's pass began or ended.
	return one(ReasonNext, "Ask again.", "the user's state is just changing")
}

// later tells of a user whose time has not come.
func (s Standing) later(at time.Time) Reason {
	u := &s.User
	r := Reason{Until: u.NextRunAt}
	if u.Status == UserWaiting {
		r.Until = u.ResumesAt(&s.Source.Endpoint, &s.Target.Endpoint, at)
	}
	now := fmt.Sprintf("mailhaul user retry %s --batch %s", u.EmailAddress, s.Batch.Name)
	switch {
	case u.Status == UserWaiting && u.Yielded: // see Rest
		r.Kind, r.What, r.Remedy = ReasonResting, u.Reason, "Wait, or change the endpoint's hours or budget (mailhaul endpoint set): it goes on at once."
	case u.Status == UserWaiting:
		r.Kind, r.What = ReasonWaits, fmt.Sprintf("after %s it waits for its next attempt: %s", u.Code, u.Reason)
		if u.Attempts > 0 {
			r.What += fmt.Sprintf(" (%d attempts so far)", u.Attempts)
		}
		r.Remedy = u.Code.Remedy() + " (now: " + now + ")"
	case u.Status == UserFailed:
		r.Kind, r.Remedy = ReasonFailed, u.Code.Remedy()+" (now: "+now+")"
		next := "is tried once a resync interval"
		if u.Kind() == Verify {
			next = "its verify is tried again"
		}
		r.What = fmt.Sprintf("the user failed with %s, and %s: %s", u.Code, next, u.Reason)
	default:
		r.Kind, r.What, r.Remedy = ReasonInStep, "the user is in step; its next sync has its place in the resync interval", "Nothing; for a sync now: "+now
	}
	return r
}

// due tells what keeps a user that could run: first what would keep it if it were
// alone, then who is in its way.
func (s Standing) due(now time.Time) []Reason {
	u, kind := &s.User, s.User.Kind()
	var out []Reason
	if s.Batch.Stopped && kind != Preflighting {
		out = one(ReasonStopped, "mailhaul batch start "+s.Batch.Name, "batch %s is stopped", s.Batch.Name)
	}
	out = append(out, s.Source.Closed(kind, now)...)
	if s.Target != s.Source {
		out = append(out, s.Target.Closed(kind, now)...)
	}
	if r := s.Rival; r != nil {
		who := "another organisation's migration"
		if r.Batch != "" {
			who = fmt.Sprintf("a pass of %s in batch %s", r.EmailAddress, r.Batch)
		}
		out = append(out, one(ReasonMailbox, AlreadyBeingMoved.Remedy(), "%s writes into the same mailbox of the target", who)...)
	}
	switch {
	case s.Capacity == 0:
		out = append(out, noWorker)
	case s.Live >= s.Capacity:
		out = append(out, one(ReasonBusy, "Wait, or start more workers (or give them a higher MAILHAUL_CONCURRENCY).", "all slots of the workers are taken")...)
	}
	if s.Ahead > 0 {
		who := fmt.Sprintf("%d users of its own batch %s go before it", s.Ahead, s.Batch.Name)
		if s.Ahead == 1 {
			who = fmt.Sprintf("1 user of its own batch %s goes before it", s.Batch.Name)
		}
		out = append(out, one(ReasonTurn, "Wait; mailhaul top shows how long the backlog takes.", "%s; other batches that are due take turns with this one", who)...)
	}
	if len(out) == 0 {
		out = one(ReasonNext, "Ask again in a few seconds. If it stays so, no dispatcher runs: look at /readyz of the API processes, and at their logs.",
			"nothing keeps it: it is admitted at the dispatcher's next look")
	}
	if (u.Status == UserWaiting || u.Status == UserFailed) && u.Code != "" {
		out = append(out, one(ReasonWaits, u.Code.Remedy(), "its last pass ended with %s: %s", u.Code, u.Reason)...)
	}
	return out
}
