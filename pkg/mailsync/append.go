package mailsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/failpoint"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// sent is a message on its way to the target.
type sent struct {
	src   mailbox.UID
	flags mailbox.Flags // the source's
	size  int64
}

// appends is the append pipeline of one folder: the writer adds messages and closes
// windows, a second goroutine takes the answers and commits each window.
type appends struct {
	x        *folderWrite
	appender mailbox.Appender
	window   []sent
	bytes    int64
	begun    time.Time // of the window
	windows  chan underWay
	received chan struct{} // closed when the goroutine has ended
}

// underWay is what one answer is awaited for: a window of messages, or flag changes.
type underWay struct {
	sent  []sent
	flags carriage
}

// markWriting marks the record, so that a crash from here on is known to leave something
// unsure.
func (x *folderWrite) markWriting(ctx context.Context) error {
	x.mu.Lock()
	x.rec.Writing, x.rec.Finished = true, false
	x.mu.Unlock()
	failpoint.Reach(failpoint.BeforeWriting)
	if err := x.commit(ctx); err != nil {
		return err
	}
	failpoint.Reach(failpoint.WritingMarked)
	x.mu.Lock()
	x.wrote = true
	x.mu.Unlock()
	return x.startAppends(ctx)
}

// beginWriting is called before the first message is sent over this connection.
func (x *folderWrite) beginWriting(ctx context.Context) error {
	if x.hand == nil {
		return x.markWriting(ctx)
	}
	x.mu.Lock() // the owner has marked the record
	x.wrote = true
	x.mu.Unlock()
	return nil
}

// startAppends borrows the connection.
func (x *folderWrite) startAppends(ctx context.Context) error {
	if x.appends != nil {
		return nil
	}
	mode := mailbox.AppendMode{Open: x.openAs}
	care := quick
	if x.hand == nil { // who helps may come when the folder has ended, and is another's again
		care = x.f.care
		mode.Single, mode.Synchronous = care > quick, x.f.synchronous
	}
	a, err := x.target.Append(ctx, x.f.target, mode)
	if err != nil {
		return err
	}
	x.appends = &appends{x: x, appender: a, windows: make(chan underWay, windowsAhead), received: make(chan struct{})}
	if care == stepwise {
		close(x.appends.received)
	} else {
		go x.appends.receive(ctx)
	}
	return nil
}

// store sends flag changes.
func (a *appends) store(ctx context.Context, ops []mailbox.FlagChange, flags carriage) {
	err := a.appender.Store(ctx, ops)
	if err == nil && a.x.f.care < stepwise {
		a.windows <- underWay{flags: flags}
		return
	}
	var answer mailbox.Answer
	if err == nil {
		answer, err = a.appender.Receive(ctx)
	}
	if err == nil {
		err = a.x.flagsAnswered(ctx, flags, answer)
	}
	if err != nil {
		a.x.broke(err)
	}
}

// add sends one message and closes the window when it is full.
func (a *appends) add(ctx context.Context, m *mailbox.Message, flags mailbox.Flags) error {
	if len(a.window) == 0 {
		a.begun = time.Now()
	}
	a.window = append(a.window, sent{m.UID, m.Flags, m.Size})
	a.bytes += m.Size
	out := *m
	out.Flags = flags
	err := a.appender.Add(ctx, mailbox.NewMessage{Message: out})
	if err == nil && (len(a.window) >= a.x.p.job.Window || a.bytes >= windowBytes || time.Since(a.begun) >= windowTime) {
		err = a.flush(ctx)
	}
	if err != nil {
		a.x.broke(err)
	}
	return nil
}

func (a *appends) flush(ctx context.Context) error {
	if len(a.window) == 0 {
		return nil
	}
	if err := a.appender.Flush(ctx); err != nil {
		return err
	}
	failpoint.Reach(failpoint.WindowSent)
	a.windows <- underWay{sent: a.window} // the receiver drains it whatever happens
	a.window, a.bytes = nil, 0
	return nil
}

// receive takes the answers in order and commits each window. After a failure of the
// connection or of the records what is left is unsure; a refusal is an answer like
// any other.
func (a *appends) receive(ctx context.Context) {
	defer close(a.received)
	failed := false
	for window := range a.windows {
		if failed {
			continue
		}
		answer, err := a.appender.Receive(ctx)
		if err == nil {
			if len(window.flags.changes) > 0 {
				err = a.x.flagsAnswered(ctx, window.flags, answer)
			} else {
				failpoint.Reach(failpoint.WindowAnswered)
				err = a.x.answered(ctx, window.sent, answer)
			}
		}
		if err != nil {
			failed = true
			a.x.doubt = window.sent
			a.x.broke(err)
		}
	}
}

// broke notes an error after which answers will not come or cannot be noted: the
// connection ends, so that nobody waits for them. Where messages were sent, their fate
// is not known.
func (x *folderWrite) broke(err error) {
	x.mu.Lock()
	x.broken = true
	concerns := x.hand == nil || x.wrote // else the folder has nothing to do with it
	if concerns && x.firstBroken == nil {
		x.firstBroken = x
	}
	if concerns && x.err == nil {
		x.err = err
	}
	x.mu.Unlock()
	x.p.target.lose(x.target, err)
	if concerns {
		x.abort(errAborted)
	}
}

func (x *folderWrite) isBroken() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.broken
}

// endSending sends what is left of the last window. The target may be used by others
// from here on.
func (x *folderWrite) endSending(ctx context.Context) {
	a := x.appends
	if a == nil {
		return
	}
	if cause := context.Cause(ctx); cause != nil {
		x.broke(cause) // whoever goes on must find nothing sent after this
	}
	if !x.isBroken() {
		if err := a.flush(ctx); err != nil {
			x.broke(err)
		}
	}
	close(a.windows)
}

// settleAppends waits until every window is answered. It reports whether the fate of a
// message is not known.
func (x *folderWrite) settleAppends() (unsure bool) {
	a := x.appends
	if a == nil {
		return false
	}
	<-a.received
	if x.doubt == nil {
		x.doubt = a.window
	}
	if !x.isBroken() {
		if err := a.appender.Close(); err != nil {
			x.broke(err)
		}
	}
	return x.isBroken() && x.wrote
}

// answered notes what the target said to one window and commits it.
func (x *folderWrite) answered(ctx context.Context, window []sent, answer mailbox.Answer) error {
	x.mu.Lock()
	x.rec.Slowest = max(x.rec.Slowest, answer.Took)
	known := len(answer.UIDs) == len(window) && (answer.Validity == 0 || answer.Validity == x.rec.TargetValidity)
	var stop error
	for i, m := range window {
		refusal := answer.Refused
		if refusal == nil && i < len(answer.Each) {
			refusal = answer.Each[i]
		}
		if refusal != nil {
			x.refused = append(x.refused, m.src)
			if stop == nil && stops(refusal) {
				stop = refusal
			}
			continue
		}
		dst := mailbox.UID(0)
		if known {
			dst = answer.UIDs[i]
		}
		x.rec.deliver(m.src, dst, m.flags)
		x.tally.copied++
		x.tally.size += m.size
		if m.src < x.rec.AgainBelow {
			x.tally.redelivered++
		}
	}
	x.mu.Unlock()
	if err := x.commit(ctx); err != nil {
		return err
	}
	failpoint.Reach(failpoint.Committed)
	x.p.committed()
	x.note(stop)
	return nil
}

// stops reports whether a refusal is not about the message: the folder is gone, the
// mailbox full, the permission missing.
func stops(refusal error) bool {
	f := migration.AsFault(refusal)
	return f.Scope != migration.ScopeMessage
}

// writeStepwise gives the target one message that it has refused before, then
// without keywords, then without its date, then without both; the message is skipped
// only if it is refused every time.
func (x *folderWrite) writeStepwise(ctx context.Context, m *mailbox.Message) error {
	if x.f.hangups[m.UID] >= hopelessAfter {
		x.skip(x.item(m, peekHeader(m.Body), migration.MessageRejected, "the target hangs up when it is given this message"))
		return nil
	}
	body, free, err := rewindable(m)
	if err != nil {
		return err
	}
	defer free()
	flags := x.selected.Keeps(m.Flags)
	var refusal error
	for i, try := range variants(flags, m.Date) {
		out := mailbox.Message{Flags: try.flags, Date: try.date, Size: m.Size, Body: m.Body}
		if body != nil {
			if _, err := body.Seek(0, io.SeekStart); err != nil {
				return fmt.Errorf("read the held message again: %w", err)
			}
			out.Body = body
		} else if i > 0 {
			break
		}
		answer, err := x.appendOne(ctx, m.UID, out)
		if err != nil {
			return err
		}
		err = answer.Refused
		if err == nil && len(answer.Each) > 0 {
			err = answer.Each[0]
		}
		if err == nil {
			answer.Each = nil
			return x.answered(ctx, []sent{{m.UID, m.Flags, m.Size}}, answer)
		}
		if stops(err) {
			return err
		}
		if refusal == nil {
			refusal = err
		}
	}
	code := migration.MessageRejected
	if f := migration.AsFault(refusal); f.Code == migration.MessageTooLarge {
		code = f.Code
	}
	var header []byte
	if body != nil {
		if _, err := body.Seek(0, io.SeekStart); err == nil {
			header = peekHeader(body)
		}
	}
	x.skip(x.item(m, header, code, migration.AsFault(refusal).Reason))
	return nil
}

// stepwiseLimit is the largest message, in bytes, that is kept to be offered again.
const stepwiseLimit = 32 << 20

// rewindable returns m's body as one that can be read again: from memory if it is
// there, else from a file without a name, which goes away with the process. nil for a
// message above the limit.
func rewindable(m *mailbox.Message) (body io.ReadSeeker, free func(), err error) {
	if held, ok := m.Body.(io.ReadSeeker); ok {
		return held, func() {}, nil
	}
	if m.Size > stepwiseLimit {
		return nil, func() {}, nil
	}
	file, err := os.CreateTemp("", "mailhaul-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a file for a message: %w", err)
	}
	free = func() { _ = file.Close() }
	if err := os.Remove(file.Name()); err != nil {
		free()
		return nil, nil, fmt.Errorf("make a file for a message: %w", err)
	}
	source := &lent{Reader: m.Body}
	if _, err := io.Copy(file, source); err != nil {
		free()
		if source.err != nil {
			return nil, nil, &mailbox.BodyError{Err: source.err}
		}
		return nil, nil, fmt.Errorf("hold a message: %w", err)
	}
	return file, free, nil
}

type variant struct {
	flags mailbox.Flags
	date  time.Time
}

func variants(flags mailbox.Flags, date time.Time) []variant {
	var system mailbox.Flags
	for _, f := range flags {
		if strings.HasPrefix(f, `\`) {
			system = append(system, f)
		}
	}
	out := []variant{{flags, date}}
	if len(system) < len(flags) {
		out = append(out, variant{system, date})
	}
	if !date.IsZero() {
		out = append(out, variant{flags, time.Time{}})
		if len(system) < len(flags) {
			out = append(out, variant{system, time.Time{}})
		}
	}
	return out
}

func (x *folderWrite) appendOne(ctx context.Context, src mailbox.UID, m mailbox.Message) (mailbox.Answer, error) {
	a := x.appends.appender
	err := a.Add(ctx, mailbox.NewMessage{Message: m})
	if err == nil {
		err = a.Flush(ctx)
	}
	var answer mailbox.Answer
	if err == nil {
		answer, err = a.Receive(ctx)
	}
	if err != nil {
		x.doubt = []sent{{src: src}}
		x.broke(err)
		if x.f.hangups == nil {
			x.f.hangups = map[mailbox.UID]int{}
		}
		if body := (*mailbox.BodyError)(nil); !errors.As(err, &body) {
			x.f.hangups[src]++
		}
	}
	return answer, err
}

// peekHeader reads no more of a message than its header may need.
func peekHeader(body io.Reader) []byte {
	b, err := io.ReadAll(io.LimitReader(body, 64<<10))
	if err != nil {
		return nil // the item is listed without its Message-ID
	}
	return headerOf(b)
}

func headerOf(message []byte) []byte {
	if i := bytes.Index(message, []byte("\r\n\r\n")); i >= 0 {
		return message[:i+2]
	}
	return message
}
