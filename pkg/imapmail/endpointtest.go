package imapmail

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Stage is one step of an endpoint's test.
type Stage struct {
	Name   string // DNS, TCP, TLS, greeting, CAPABILITY, login, compression, NAMESPACE or LIST
	OK     bool
	Detail string // what was found
	Fault  *migration.Fault
	Took   time.Duration
}

// Test opens the account stage by stage and tells of each, up to the first that
// fails. Without a user it ends before the login.
func Test(ctx context.Context, a Account, o Options) []Stage {
	t := &tester{opening: &opening{account: a, options: o, timeout: o.patience(), names: &nameBook{}, labels: &labels{}}}
	defer t.close()
	first := []step{{"DNS", t.resolve}, {"TCP", t.dial}}
	if !t.run(ctx, first) {
		return t.stages
	}
	stop := context.AfterFunc(ctx, func() { t.conn.kill(context.Cause(ctx)) })
	defer stop()
	for _, s := range t.steps() {
		if s.name == "login" {
			break
		}
		if !t.run(ctx, []step{s}) {
			return t.stages
		}
	}
	if !t.run(ctx, []step{{"CAPABILITY", t.tellCapability}}) || a.User == "" {
		return t.stages
	}
	stages := []step{{"login", t.login}}
	if a.Compress {
		stages = append(stages, step{"compression", t.tellCompression})
	}
	t.run(ctx, append(stages, step{"NAMESPACE", t.tellNamespace}, step{"LIST", t.tellList}))
	return t.stages
}

// tester is an opening that tells of its steps.
type tester struct {
	*opening
	detail string
	opened *session
	stages []Stage
}

func (t *tester) run(ctx context.Context, steps []step) bool {
	for _, s := range steps {
		t.detail = ""
		began := time.Now()
		err := s.do(ctx)
		stage := Stage{Name: s.name, OK: err == nil, Detail: t.detail, Took: time.Since(began)}
		switch s.name {
		case "greeting":
			stage.Detail = migration.Clean(t.account.Password.Redact(t.greeting))
		case "TLS":
			stage.Detail = t.secured
		}
		if err != nil {
			stage.Fault = migration.AsFault(err)
		}
		t.stages = append(t.stages, stage)
		if err != nil {
			return false
		}
	}
	return true
}

func (t *tester) close() {
	switch {
	case t.opened != nil:
		_ = t.opened.Close()
	case t.conn != nil:
		t.conn.hangUp()
	}
}

func (t *tester) resolve(ctx context.Context) error {
	addresses, err := net.DefaultResolver.LookupHost(ctx, t.account.Host)
	if err != nil {
		return t.account.unreachable(err, migration.ConnectionFailed, fmt.Sprintf("look up %q", t.account.Host))
	}
	t.detail = strings.Join(addresses, " ")
	return nil
}

func (t *tester) tellCapability(ctx context.Context) error {
	if t.words == nil {
		if err := t.capability(ctx); err != nil {
			return err
		}
	}
	t.detail = t.account.Password.Redact(t.words.String())
	return nil
}

func (t *tester) tellCompression(ctx context.Context) error {
	t.detail = "the server does not offer it"
	before := t.conn.wire
	if err := t.compress(ctx); err != nil {
		return err
	}
	if t.conn.wire != before {
		t.detail = "DEFLATE"
	}
	return nil
}

func (t *tester) tellNamespace(ctx context.Context) error {
	t.opened = t.session()
	end := t.opened.begin(ctx)
	end()
	if _, err := t.opened.conn.failure(); err != nil {
		return t.opened.broken("ask for the namespace")
	}
	n := t.opened.Naming()
	t.detail = fmt.Sprintf("prefix %q, delimiter %q", t.account.Password.Redact(n.Prefix), n.Delimiter)
	return nil
}

func (t *tester) tellList(ctx context.Context) error {
	folders, err := t.opened.List(ctx)
	if err != nil {
		return err
	}
	var messages uint64
	for _, f := range folders {
		if f.Status != nil {
			messages += uint64(f.Status.Messages)
		}
	}
	t.detail = fmt.Sprintf("%d folders, %d messages", len(folders), messages)
	return nil
}
