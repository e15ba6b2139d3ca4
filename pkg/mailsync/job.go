package mailsync

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Records keeps what is known of one mailbox pair from pass to pass.
type Records interface {
	// Records returns all of them.
	Records(ctx context.Context) ([]migration.FolderRecord, error)
	// Commit stores one window, whole or not at all; when it returns nil the window
	// survives a crash of this process. migration.ErrLeaseLost means that another
	// pass owns the mailbox now.
	Commit(ctx context.Context, w migration.Window) error
}

// Selection is what of the source is carried, and where to. A pass, a verify and a preflight
// of one mailbox pair have to be given the same.
type Selection struct {
	// Include and Exclude are names, globs (*, ?) and tokens such as #Junk#.
	Include, Exclude []string
	// MapFolders say where source folders go that no record has elsewhere; the first that
	// matches counts. They have to be without problems (migration.FolderRuleProblems).
	MapFolders []migration.FolderRule
	// LeaveOut are folders of the source, written as in Include, that are left out with all
	// below them unless Include names them; and told where there is mail in them.
	LeaveOut []string
	// Shown is how many messages the source shows of a folder at most; a folder that has
	// as many is told. 0: all.
	Shown int64
	// Since and Before limit what is carried to messages of that time (INTERNALDATE), the
	// one included, the other not; zero: any.
	Since, Before time.Time
}

// Job is one pass over one mailbox pair.
type Job struct {
	Source, Target mailbox.Opener
	Records        Records
	Selection
	// MaxMessageSize in bytes; larger ones are skipped. 0: the target's own limit.
	MaxMessageSize int64
	// Again offers messages once more that earlier passes skipped, for whatever reason:
	// somebody says that it is mended.
	Again bool
	// MaxSkipped is how many messages may be skipped, those skipped by earlier passes and
	// still there among them; one more ends the pass. nil: any number.
	MaxSkipped *int64
	// NewestFirst copies the later messages of a folder before the earlier ones, in
	// pieces.
	NewestFirst bool
	// Connections is how many connections a pass may have to each side at once; 0: one.
	// Further ones are opened where there is work for them; one that is refused is done
	// without.
	Connections int
	// FurtherSource and FurtherTarget open those beyond the first; nil: as Source and
	// Target do.
	FurtherSource, FurtherTarget mailbox.Opener
	// Window is how many messages a window has at most; 0: 200.
	Window int
	// Yield is asked after each window whether to stop there; nil: never.
	Yield func() bool
	// Stop, once closed, ends the pass also while it only waits for folders to settle:
	// no window ends in that time. nil: nothing does.
	Stop <-chan struct{}
	// Observe is told the tally after each window; nil: nobody.
	Observe func(migration.Tally)
	// Unsettled says that what somebody else sent to this target mailbox may still reach
	// it, and that no records tell of it: where there are none, all folders settle first.
	Unsettled bool
	// Settle is how long a folder rests at least after an APPEND whose fate is not known;
	// 0: 10 s. Only who knows the server can know that less is enough.
	Settle time.Duration
	// Budget is shared with other passes; nil: this one has its own.
	Budget *Budget
	// Mirror carries deletions over: a copy whose message is gone at the source is deleted
	// at the target, at the end of a pass that carried everything (mirror.go).
	Mirror bool
	// ConfirmedDeletions is up to how many copies, of those that the latest pass asked
	// about, are deleted although the source looks wrong; 0: none.
	ConfirmedDeletions int64
	// DryRun surveys and plans, and changes nothing anywhere: no record either.
	DryRun bool
}

// Outcome is what a pass did, valid beside an error too.
type Outcome struct {
	Tally migration.Tally
	// Items are the messages and folders that were skipped or failed, those skipped
	// by earlier passes among them.
	Items []migration.Item
	// Renamed are folders that have another path at the target.
	Renamed []Renamed
	// Kept are folders that a rule would have sent elsewhere by now, and that stay where
	// they were begun.
	Kept []Renamed
	// Yielded is set where Yield or Stop ended the pass with work left.
	Yielded bool
	// Progress is whether at least one window was committed.
	Progress bool
	// Fewer is why the pass had fewer connections than it might have; nil: it had them,
	// or no use for them.
	Fewer *migration.Fault
}

// Renamed is a folder whose path at the target is not the source's.
type Renamed struct{ From, To string }

// Bounds of a window and of what is under way. A window is what a crash can leave
// unrecorded; several are under way so that a long round trip costs nothing.
const (
	windowMessages = 200
	windowBytes    = 8 << 20
	windowsAhead   = 4
	// windowTime closes one that fills slowly: what was asked between windows, and the
	// server's answer, would be waited for too long.
	windowTime = 5 * time.Second

	// readAhead bounds the messages of one pass in memory between source and target,
	// in bytes; larger ones than streamAbove never are there whole.
	readAhead   = 4 << 20
	streamAbove = 512 << 10
)

// newestPiece is how many UIDs are asked for at once where the newest go first, in
// halves of a window: 500 of 200. Smaller ones pay a round trip each and leave a gap
// in the record each.
const newestPiece = 5

// mostPieces bounds how often a folder is asked for then.
const mostPieces = 10_000

// settleTime is Job.Settle where nothing is said: how long a folder rests after an APPEND whose fate is not known; or
// twice the slowest answer seen there, if that is longer.
const settleTime = 10 * time.Second

// maxTrouble is how many connections in a row may fail without a window committed
// in between before the pass gives up.
const maxTrouble = 5

// hopelessAfter failures at one message, of the source in a row or of the target
// where it is given alone, leave it out. At the target that is two connections more
// until it is given alone: maxTrouble allows for them.
const hopelessAfter = 3

// mostUnreadable refusals of the source to deliver a message make the folder fail: more
// is no matter of single messages.
const mostUnreadable = 100

// Run performs one pass. The error is or wraps a *migration.Fault, or is the cause
// of ctx's end.
func Run(ctx context.Context, job Job) (Outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := newPass(job)
	defer p.close()
	// A lost lease must not wait for a network: the target's connections go first.
	stop := context.AfterFunc(ctx, func() { p.kill(context.Cause(ctx)) })
	defer stop()
	err := p.run(ctx, cancel)
	return p.outcome(err)
}

func newPass(job Job) *pass {
	job.Connections = max(1, job.Connections)
	if job.Window <= 0 {
		job.Window = windowMessages
	}
	if job.Budget == nil {
		job.Budget = NewBudget(readAhead * int64(job.Connections))
	}
	p := &pass{job: job, failing: make(chan struct{})}
	for n := range job.Connections {
		p.lanes = append(p.lanes, newLane(p, n))
	}
	return p
}

func newLane(p *pass, n int) *lane {
	l := &lane{pass: p, n: n, source: link{open: p.job.Source, further: n > 0}, target: link{open: p.job.Target, further: n > 0}}
	if n > 0 && p.job.FurtherSource != nil {
		l.source.open = p.job.FurtherSource
	}
	if n > 0 && p.job.FurtherTarget != nil {
		l.target.open = p.job.FurtherTarget
	}
	return l
}

func (p *pass) kill(cause error) {
	for _, l := range p.lanes {
		l.target.kill(cause)
	}
	for _, l := range p.lanes {
		l.source.kill(cause)
	}
}

// close ends all connections, all at once: each waits for its server's word.
func (p *pass) close() {
	var closing sync.WaitGroup
	for _, l := range p.lanes[1:] {
		closing.Go(l.target.close)
		closing.Go(l.source.close)
	}
	p.lanes[0].target.close()
	p.lanes[0].source.close()
	closing.Wait()
}

// link is one side's connection: opened when first needed, and again after a loss.
type link struct {
	open mailbox.Opener
	// further is set where the pass can do without it: refused once, it is not tried again.
	further bool
	// use is held by whoever talks over the connection.
	use sync.Mutex

	mu      sync.Mutex
	s       mailbox.Session
	killed  error
	refused error // of a further one: why
}

// session returns the connection, opening it if there is none.
func (l *link) session(ctx context.Context) (mailbox.Session, error) {
	l.mu.Lock()
	s, gone := l.s, cmp.Or(l.killed, l.refused)
	l.mu.Unlock()
	if gone != nil {
		return nil, gone
	}
	if s != nil {
		return s, nil
	}
	s, err := l.open(ctx)
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.further && context.Cause(ctx) == nil {
			l.refused = err
		}
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.killed != nil {
		s.Kill(l.killed)
		return nil, l.killed
	}
	l.s = s
	return s, nil
}

// refusal returns why a further connection is not to be had; nil: it may be.
func (l *link) refusal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}

// current returns the connection if there is one.
func (l *link) current() mailbox.Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.s
}

// drop closes the connection at once; the next session is a new one.
func (l *link) drop(cause error) {
	l.mu.Lock()
	s := l.s
	l.s = nil
	l.mu.Unlock()
	if s != nil {
		s.Kill(cause)
	}
}

// lose closes the connection s at once, unless another has taken its place.
func (l *link) lose(s mailbox.Session, cause error) {
	l.mu.Lock()
	if l.s == s {
		l.s = nil
	}
	l.mu.Unlock()
	if s != nil {
		s.Kill(cause)
	}
}

// kill is drop for good.
func (l *link) kill(cause error) {
	l.mu.Lock()
	s := l.s
	l.s, l.killed = nil, cause
	l.mu.Unlock()
	if s != nil {
		s.Kill(cause)
	}
}

func (l *link) close() {
	l.mu.Lock()
	s := l.s
	l.s = nil
	l.mu.Unlock()
	if s != nil {
		_ = s.Close() // everything that matters has been answered
	}
}

// memoryRecords keeps records as long as the process lives.
type memoryRecords struct {
	mu      sync.Mutex
	records map[string]*migration.FolderRecord
}

// NewMemoryRecords returns Records that are gone with the process.
func NewMemoryRecords() Records {
	return &memoryRecords{records: map[string]*migration.FolderRecord{}}
}

func (m *memoryRecords) Records(context.Context) ([]migration.FolderRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]migration.FolderRecord, 0, len(m.records))
	for _, r := range m.records {
		out = append(out, *r)
	}
	return out, nil
}

func (m *memoryRecords) Commit(_ context.Context, w migration.Window) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.Apply(m.records)
	return nil
}
