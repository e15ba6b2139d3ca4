package faultproxy_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/faultproxy"
	"github.com/mailhaul/mailhaul/test/servers"
)

// pair is two Dovecots, each behind a proxy, and what is remembered between passes.
type pair struct {
	t                *testing.T
	server, behind   *servers.IMAP // source and target
	source, target   *faultproxy.Proxy
	records          mailsync.Records
	copied, adopted  int64
	passes           int
	patience         time.Duration // with a server; 0: the usual minute
	sourceA, targetA imapmail.Account
}

func newPair(t *testing.T, target servers.DovecotConfig) *pair {
	p := &pair{t: t, server: servers.Dovecot(t, servers.DovecotConfig{}), behind: servers.Dovecot(t, target), records: mailsync.NewMemoryRecords()}
	p.source = faultproxy.New(t, address(p.server.Port), faultproxy.Options{})
	p.target = faultproxy.New(t, address(p.behind.Port), faultproxy.Options{})
	p.sourceA, p.targetA = account(p.source.Port, migration.Source), account(p.target.Port, migration.Target)
	return p
}

func (p *pair) pass() (mailsync.Outcome, error) {
	p.t.Helper()
	o := imapmail.Options{Patience: p.patience}
	out, err := mailsync.Run(p.t.Context(), mailsync.Job{
		Source: imapmail.NewOpener(p.sourceA, o), Target: imapmail.NewOpener(p.targetA, o), Records: p.records,
	})
	p.passes++
	p.copied += out.Tally.Copied
	p.adopted += out.Tally.Adopted
	return out, err
}

// until runs passes until one has nothing left to do; each has to get on.
func (p *pair) until(most int) {
	p.t.Helper()
	for range most {
		out, err := p.pass()
		if err == nil {
			return
		}
		if !out.Progress {
			p.t.Fatalf("pass %d got nowhere: %v", p.passes, err)
		}
	}
	p.t.Fatalf("not done after %d passes: %d copied, %d adopted", p.passes, p.copied, p.adopted)
}

// same has the independent judge compare the mailboxes.
func (p *pair) same() {
	p.t.Helper()
	out, err := exec.Command("python3", "../../bench/verify.py", "--src", address(p.server.Port), "--dst", address(p.behind.Port),
		"--user", user, "--show", "20").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "SAME") {
		p.t.Fatalf("the mailboxes differ: %v\n%s", err, out)
	}
}

// fillFolders makes folders at the source with messages in each.
func (p *pair) fillFolders(messages int, names ...string) {
	p.t.Helper()
	a := account(p.server.Port, migration.Target)
	err := run(p.t.Context(), a, imapmail.Options{}, stage{do: func(ctx context.Context, s mailbox.Session) error {
		var errs []error
		for _, name := range names {
			errs = append(errs, s.Create(ctx, []mailbox.NewFolder{{Name: name}})...)
			errs = append(errs, writeTo(ctx, s, name, messages))
		}
		return errors.Join(errs...)
	}})
	if err != nil {
		p.t.Fatal(err)
	}
}

// TestADisconnectAfterEveryMessageGetsOn: whoever hangs up, every connection brings
// something, and in the end all is there, once.
func TestADisconnectAfterEveryMessageGetsOn(t *testing.T) {
	t.Parallel()
	const messages = 5
	for name, strike := range map[string]func(p *pair){
		"source": func(p *pair) {
			p.source.Strike(faultproxy.Fault{Kind: faultproxy.CutAfter, At: "FETCH", Messages: 1})
		},
		"target": func(p *pair) { p.target.Strike(faultproxy.Fault{Kind: faultproxy.CutAfter, At: "APPEND"}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, servers.DovecotConfig{Capability: "IMAP4rev1 UIDPLUS LIST-EXTENDED LIST-STATUS SPECIAL-USE NAMESPACE CONDSTORE"})
			fill(t, p.server, messages)
			strike(p)
			p.until(20)
			t.Logf("%d passes, %d connections to the source, %d to the target: %d copied, %d adopted",
				p.passes, p.source.Connections(), p.target.Connections(), p.copied, p.adopted)
			if n := max(p.source.Connections(), p.target.Connections()); n < messages/2 {
				t.Errorf("%d connections for %d messages: nobody hung up", n, messages)
			}
			if p.copied+p.adopted != messages {
				t.Errorf("%d copied and %d adopted of %d", p.copied, p.adopted, messages)
			}
			p.source.Strike()
			p.target.Strike()
			if out, err := p.pass(); err != nil || out.Tally.Copied+out.Tally.Adopted+out.Tally.Surplus != 0 {
				t.Errorf("one more pass: %+v, %v", out.Tally, err)
			}
			p.same()
		})
	}
}

// TestALostReplyDoublesNothing: the target has stored what it was given, and the answer
// is lost.
func TestALostReplyDoublesNothing(t *testing.T) {
	t.Parallel()
	p := newPair(t, servers.DovecotConfig{})
	fill(t, p.server, 30)
	p.target.Strike(faultproxy.Fault{Kind: faultproxy.LostReply, At: "APPEND", Times: 1})
	p.until(5)
	if p.target.Struck() != 1 || p.copied+p.adopted != 30 {
		t.Errorf("%d replies lost: %d copied, %d adopted of 30", p.target.Struck(), p.copied, p.adopted)
	}
	p.same()
}

// TestOneBadThingNeverStopsTheRest: a folder or a message that fails every time leaves
// all others copied, and is told of.
func TestOneBadThingNeverStopsTheRest(t *testing.T) {
	t.Parallel()
	const whole, bad = 9, 3 // messages in the good folders, and in the bad one
	for name, x := range map[string]struct {
		source, target faultproxy.Fault
		copied         int64
		code           migration.Code // of the item
	}{
		"a folder that cannot be opened": {
			source: faultproxy.Fault{Kind: faultproxy.Answer, At: "SELECT", Has: "Bad", Words: "NO [UNAVAILABLE] Server error"}, copied: whole, code: migration.ConnectionFailed,
		},
		"a folder that is locked": {
			source: faultproxy.Fault{Kind: faultproxy.Answer, At: "SELECT", Has: "Bad", Words: "NO [INUSE] Mailbox is locked"}, copied: whole, code: migration.Throttled,
		},
		"a folder that takes no mail": {
			target: faultproxy.Fault{Kind: faultproxy.Answer, At: "APPEND", Has: "Bad", Words: "NO [UNAVAILABLE] Server error"}, copied: whole, code: migration.ConnectionFailed,
		},
		"a folder that cannot be made": {
			target: faultproxy.Fault{Kind: faultproxy.Answer, At: "CREATE", Has: "Bad", Words: "NO [CANNOT] Invalid name"}, copied: whole, code: migration.MessageRejected,
		},
		"a message that is refused every time": {
			source: faultproxy.Fault{Kind: faultproxy.Refuse, Holds: "Bad-1@", Words: "NO [SERVERBUG] Internal error occurred."}, copied: whole + bad - 1, code: migration.MessageUnreadable,
		},
		"a message that tears every time": {
			source: faultproxy.Fault{Kind: faultproxy.Tear, At: "FETCH", Words: "Bad-1@"}, copied: whole + bad - 1, code: migration.MessageUnreadable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, servers.DovecotConfig{})
			p.fillFolders(3, "A", "Bad", "C")
			fill(t, p.server, 3)
			strikeIf(p.source, x.source)
			strikeIf(p.target, x.target)
			begun := time.Now()
			out, err := p.pass()
			took := time.Since(begun)
			found := false
			for _, it := range out.Items {
				found = found || it.Folder == "Bad" && it.Code == x.code
			}
			// What was on its way behind the bad thing when a connection ended is adopted.
			if got := out.Tally.Copied + out.Tally.Adopted; got != x.copied || !found {
				t.Errorf("copied or, after a break, adopted %d, want %d; listed %+v, want %s in Bad; %v", got, x.copied, out.Items, x.code, err)
			}
			if took > 5*time.Minute {
				t.Errorf("over after %s", took)
			}
		})
	}
}

func strikeIf(p *faultproxy.Proxy, f faultproxy.Fault) {
	if f.Kind != "" {
		p.Strike(f)
	}
}

// TestEachSidesHarmEndsThePass: what never stops ends the pass in its code, with the
// side at which it is.
func TestEachSidesHarmEndsThePass(t *testing.T) {
	t.Parallel()
	backoff := answer("NO Request is throttled. Suggested Backoff Time: 2500 milliseconds")
	for _, x := range []struct {
		at    string
		side  migration.Side
		fault faultproxy.Fault
		want  expected
	}{
		{"LOGIN", migration.Source, faultproxy.Fault{Kind: faultproxy.Stall}, down},
		{"LOGIN", migration.Target, backoff, later(throttled, 2500*time.Millisecond)},
		{"LIST", migration.Source, faultproxy.Fault{Kind: faultproxy.HalfOpen}, down},
		{"LIST", migration.Target, faultproxy.Fault{Kind: faultproxy.Garbage, Words: "((((\r\n"}, down},
		{"FETCH", migration.Source, backoff, later(throttled, 2500*time.Millisecond)},
		{"FETCH", migration.Source, faultproxy.Fault{Kind: faultproxy.Cut, Bytes: 40}, down},
		{"APPEND", migration.Target, backoff, later(throttled, 2500*time.Millisecond)},
		{"APPEND", migration.Target, answer("NO [OVERQUOTA] full"), expected{migration.QuotaExceeded, migration.ScopeUser, 0}},
		{"APPEND", migration.Target, faultproxy.Fault{Kind: faultproxy.Bye, Words: "Too many simultaneous connections. Suggested Backoff Time: 4000 milliseconds"}, later(throttled, 4*time.Second)},
	} {
		t.Run(fmt.Sprintf("%s at %s's %s", x.fault.Kind, x.side, x.at), func(t *testing.T) {
			t.Parallel()
			p := newPair(t, servers.DovecotConfig{})
			fill(t, p.server, 3)
			fault := x.fault
			fault.At = x.at
			proxy := p.source
			if x.side == migration.Target {
				proxy = p.target
			}
			if silent(fault) {
				p.patience = 2 * time.Second
			}
			proxy.Strike(fault)
			_, err := p.pass()
			var f *migration.Fault
			if !errors.As(err, &f) || f.Code != x.want.code || f.RetryAfter != x.want.retry || f.Side != x.side {
				t.Errorf("%v (%+v), want %s after %s", err, f, x.want.code, x.want.retry)
			}
			p.patience = 0
			proxy.Strike()
			p.until(3)
			p.same()
		})
	}
}
