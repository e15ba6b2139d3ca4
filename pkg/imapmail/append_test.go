package imapmail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

func note(text string, flags ...string) mailbox.NewMessage {
	return mailbox.NewMessage{Message: mailbox.Message{
		Flags: flags, Date: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), Size: int64(len(text)), Body: strings.NewReader(text),
	}}
}

// TestMessagesStayMail sends messages that are IMAP commands, with flags and dates
// that servers answer with BAD: none of it may ever be read as commands.
func TestMessagesStayMail(t *testing.T) {
	server := servers.Dovecot(t, servers.DovecotConfig{})
	attack := "x CREATE pwned\r\ny DELETE Keep\r\nz LOGOUT\r\n"
	for name, mode := range map[string]mailbox.AppendMode{
		"windows": {}, "single": {Single: true}, "with care": {Single: true, Synchronous: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := opened(t, dovecotAccount(server, "victim"+strings.Fields(name)[0]))
			ctx := t.Context()
			if err := errors.Join(s.Create(ctx, []mailbox.NewFolder{{Name: "Keep"}})...); err != nil {
				t.Fatal(err)
			}
			a, err := s.Append(ctx, "INBOX", mode)
			if err != nil {
				t.Fatal(err)
			}
			odd := []mailbox.NewMessage{
				note(attack, `\Foo`), note(attack, `\Recent`), note(attack, "(", ")", "a b", "\r\n"),
				note(attack, "x) {3+}\r\nabc"), note(attack, "\xff", "ü", "", `"`, "%", "*", "{5}"), note(attack, `\`),
			}
			for _, year := range []int{-5, 0, 1, 1969, 10_000, 100_000} {
				m := note(attack)
				m.Date = time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
				odd = append(odd, m)
			}
			m := note(attack)
			m.Date = m.Date.In(time.FixedZone(") {9+}", 30*60*60))
			odd = append(odd, m)
			for _, m := range odd {
				if err := a.Add(ctx, m); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			answer, err := a.Receive(ctx)
			if err := errors.Join(append(answer.Each, err, answer.Refused, a.Close())...); err != nil {
				t.Fatal(err)
			}
			folders, err := s.List(ctx)
			if err != nil || len(folders) != 2 || folders[0].Status.Messages != uint32(len(odd)) {
				t.Errorf("%+v, %v: want INBOX with %d messages, and Keep", folders, err, len(odd))
			}
		})
	}
}

func TestBadEndsTheConnectionAtOnce(t *testing.T) {
	for name, bad := range map[string]string{"tagged": "%s BAD cannot read that", "untagged": "* BAD cannot read that%.0s"} {
		t.Run(name, func(t *testing.T) {
			rest := make(chan int64, 1)
			a := scripted(t, func(s *script) {
				s.welcome("LITERAL+ MULTIAPPEND")
				s.say(bad, s.hear(`APPEND "INBOX" (\Seen) "02-Jan-2020 03:04:05 +0000" {`))
				n, _ := io.Copy(io.Discard, s.r)
				rest <- n
			})
			s := opened(t, a)
			ctx := t.Context()
			ap, err := s.Append(ctx, "INBOX", mailbox.AppendMode{})
			if err != nil {
				t.Fatal(err)
			}
			// The server answers before it has the whole message; the sender is stopped.
			endless := note("", mailbox.Seen)
			endless.Size, endless.Body = 1<<40, zeros{}
			err = ap.Add(ctx, endless)
			if !errors.Is(err, mailbox.ErrBad) {
				t.Errorf("add: %v", err)
			}
			if _, err := ap.Receive(ctx); !errors.Is(err, mailbox.ErrBad) {
				t.Errorf("receive: %v", err)
			}
			if err := ap.Close(); err == nil {
				t.Error("close: the window is unsure")
			}
			if n := <-rest; n > 64<<20 {
				t.Errorf("%d bytes after the BAD", n)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestAnswersBeforeTheEndStillCount(t *testing.T) {
	a := scripted(t, func(s *script) {
		s.welcome("LITERAL+ MULTIAPPEND UIDPLUS")
		tag := s.hear(`APPEND`)
		s.say("+ go on") // the connection's first literal is waited for
		for range 4 {    // a message, the next one's announcement, it, and the end
			s.line()
		}
		s.say("%s OK [APPENDUID 7 5:6] done", tag)
		s.hear(`APPEND`)
		s.line()
		s.say("* BYE Suggested Backoff Time: 3000 milliseconds")
		_ = s.c.Close()
	})
	s := opened(t, a)
	ctx := t.Context()
	ap, err := s.Append(ctx, "INBOX", mailbox.AppendMode{})
	if err != nil {
		t.Fatal(err)
	}
	for _, window := range []int{2, 1} {
		for range window {
			if err := ap.Add(ctx, note("x\r\n")); err != nil {
				t.Fatal(err)
			}
		}
		if err := ap.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := ap.Receive(ctx)
	if err != nil || answer.Validity != 7 || fmt.Sprint(answer.UIDs) != "[5 6]" {
		t.Errorf("first window: %+v, %v", answer, err)
	}
	var f *migration.Fault
	if _, err := ap.Receive(ctx); !errors.As(err, &f) || f.Code != migration.Throttled || f.RetryAfter != 3*time.Second {
		t.Errorf("second window: %v", err)
	}
	_ = ap.Close()
}

// tooBig makes a Dovecot refuse messages of more than 16 KB.
const tooBig = `
mail_plugins = quota
plugin {
  quota = count:User quota
  quota_vsizes = yes
  quota_max_mail_size = 16k
}
`

func TestRefusedWindowsAndMessages(t *testing.T) {
	server := servers.Dovecot(t, servers.DovecotConfig{Extra: tooBig})
	plain := servers.Dovecot(t, servers.DovecotConfig{Capability: "IMAP4rev1 UIDPLUS NAMESPACE"})
	const empty = "" // Dovecot refuses it
	large := "Subject: large\r\n\r\n" + strings.Repeat("a line of text\r\n", 2048)
	for name, x := range map[string]struct {
		account Account
		mode    mailbox.AppendMode
		refused string
		whole   bool
	}{
		"a window is refused as a whole":    {dovecotAccount(server, "a"), mailbox.AppendMode{}, large, true},
		"an empty message is alone":         {dovecotAccount(server, "b"), mailbox.AppendMode{}, empty, false},
		"with care each is alone":           {dovecotAccount(server, "c"), mailbox.AppendMode{Synchronous: true}, large, false},
		"a message is refused alone":        {dovecotAccount(server, "d"), mailbox.AppendMode{Single: true}, large, false},
		"a message is refused after asking": {dovecotAccount(plain, "e"), mailbox.AppendMode{}, empty, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := opened(t, x.account)
			ctx := t.Context()
			a, err := s.Append(ctx, "INBOX", x.mode)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range []mailbox.NewMessage{note("Subject: a\r\n\r\na\r\n"), note(x.refused), note("Subject: b\r\n\r\nb\r\n")} {
				if err := a.Add(ctx, m); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			answer, err := a.Receive(ctx)
			if err := errors.Join(err, a.Close()); err != nil {
				t.Fatal(err)
			}
			want := 2
			refused := answer.Refused
			if x.whole {
				want = 0
			} else {
				refused = answer.Each[1]
				if len(answer.Each) != 3 || answer.Each[0] != nil || answer.Each[2] != nil || answer.UIDs[1] != 0 || answer.UIDs[2] == 0 {
					t.Errorf("%+v", answer)
				}
			}
			var f *migration.Fault
			if !errors.As(refused, &f) || f.Code != migration.MessageRejected || f.Scope != migration.ScopeMessage {
				t.Errorf("refused: %v", refused)
			}
			sel, err := s.Select(ctx, "INBOX", true)
			if err != nil || int(sel.Messages) != want {
				t.Errorf("%d messages, %v, want %d", sel.Messages, err, want)
			}
		})
	}
}

// Dovecot refuses a window while it is still being sent, and reads the rest of its
// line all the same.
func TestEarlyRefusalLeavesTheConnectionInStep(t *testing.T) {
	server := servers.Dovecot(t, servers.DovecotConfig{Extra: tooBig})
	s := opened(t, dovecotAccount(server, "early"))
	ctx := t.Context()
	ap, err := s.Append(ctx, "INBOX", mailbox.AppendMode{})
	if err != nil {
		t.Fatal(err)
	}
	a := ap.(*appender)
	large := "Subject: large\r\n\r\n" + strings.Repeat("a line of text\r\n", 2*appendBuffer/16)
	good := func() {
		t.Helper()
		if err := errors.Join(a.Add(ctx, note("Subject: good\r\n\r\nx\r\n")), a.Flush(ctx)); err != nil {
			t.Fatal(err)
		}
	}
	good()
	for i, text := range []string{large, large, large, "Subject: last\r\n\r\n"} {
		if err := a.Add(ctx, note(text)); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			a.pipe.mu.Lock()
			for a.open.answer == nil && a.pipe.err == nil {
				a.pipe.changed.Wait()
			}
			a.pipe.mu.Unlock()
		}
	}
	if err := a.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	good()
	for i, refused := range []bool{false, true, false} {
		answer, err := a.Receive(ctx)
		if err != nil || (answer.Refused != nil) != refused {
			t.Errorf("window %d: %+v, %v", i, answer, err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if sel, err := s.Select(ctx, "INBOX", true); err != nil || sel.Messages != 2 {
		t.Errorf("%+v, %v", sel, err)
	}
}

func TestAppendUID(t *testing.T) {
	for args, want := range map[string]string{
		"7 5:7,9":        "7 [5 6 7 9]",
		"7 9,5:7":        "7 [9 5 6 7]",
		"7 5:8":          "7 [5 6 7 8]",
		"7 5:9":          "0 []", // too many
		"7 5":            "0 []", // too few
		"7 1:4294967295": "0 []",
		"7 8:5":          "0 []",
		"0 5:8":          "0 []",
		"7 *":            "0 []",
		"":               "0 []",
	} {
		v, uids := appendUID(status{code: "APPENDUID", args: args}, 4)
		if got := fmt.Sprint(v, " ", uids); got != strings.Replace(want, " ", "  ", 1) && got != want {
			t.Errorf("%q: got %q, want %q", args, got, want)
		}
	}
}

// TestLargeMessagesNeedLittleMemory copies 20 MB from one server to another.
func TestLargeMessagesNeedLittleMemory(t *testing.T) {
	server := servers.Dovecot(t, servers.DovecotConfig{Format: "mdbox"})
	from, to := opened(t, dovecotAccount(server, "from")), opened(t, dovecotAccount(server, "to"))
	ctx := t.Context()
	const size = 20 << 20
	line := strings.Repeat("x", 78) + "\r\n"
	head := "Subject: large\r\n\r\n"
	m := note("")
	m.Size = int64(len(head)) + size/80*80
	m.Body = io.MultiReader(strings.NewReader(head), io.LimitReader(&repeat{text: line}, size/80*80))
	if err := copyOne(ctx, from, m); err != nil {
		t.Fatal(err)
	}
	if _, err := from.Select(ctx, "INBOX", true); err != nil {
		t.Fatal(err)
	}
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var most uint64
	err := from.Messages(ctx, mailbox.Span(1, 1), func(m mailbox.Message) error {
		m.Body = &sampled{Reader: m.Body, sample: func() {
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}}
		return copyOne(ctx, to, mailbox.NewMessage{Message: m})
	})
	if err != nil {
		t.Fatal(err)
	}
	if grown := int64(most) - int64(before.HeapAlloc); grown > 6<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	sel, err := to.Select(ctx, "INBOX", true)
	if err != nil || sel.Messages != 1 {
		t.Errorf("%+v, %v", sel, err)
	}
}

func copyOne(ctx context.Context, s *session, m mailbox.NewMessage) error {
	a, err := s.Append(ctx, "INBOX", mailbox.AppendMode{})
	if err != nil {
		return err
	}
	if err := a.Add(ctx, m); err != nil {
		return err
	}
	if err := a.Flush(ctx); err != nil {
		return err
	}
	answer, err := a.Receive(ctx)
	return errors.Join(err, answer.Refused, a.Close())
}

type repeat struct {
	text string
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

// sampled calls sample at every tenth read.
type sampled struct {
	io.Reader
	sample func()
	reads  int
}

func (s *sampled) Read(p []byte) (int, error) {
	if s.reads++; s.reads%10 == 0 {
		s.sample()
	}
	return s.Reader.Read(p)
}

func TestManyMessagesAtOnce(t *testing.T) {
	server := servers.Dovecot(t, servers.DovecotConfig{Format: "mdbox"})
	s := opened(t, dovecotAccount(server, "many"))
	ctx := t.Context()
	const n = 3000
	fill(t, s, n, 100, 2_000)
	if _, err := s.Select(ctx, "INBOX", true); err != nil {
		t.Fatal(err)
	}
	headers, messages := 0, 0
	if err := s.Metas(ctx, mailbox.Span(1, mailbox.MaxUID), func(mailbox.Meta) error { headers++; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.Messages(ctx, mailbox.Span(1, mailbox.MaxUID), func(m mailbox.Message) error {
		messages++
		k, err := io.Copy(io.Discard, m.Body)
		if k != m.Size {
			t.Errorf("uid %d: %d of %d bytes", m.UID, k, m.Size)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if headers != n || messages != n {
		t.Errorf("%d headers, %d messages, want %d", headers, messages, n)
	}
}

// fill appends n messages of about size bytes in windows, answers read meanwhile.
func fill(t testing.TB, s *session, n, window, size int) {
	t.Helper()
	ctx := t.Context()
	a, err := s.Append(ctx, "INBOX", mailbox.AppendMode{})
	if err != nil {
		t.Fatal(err)
	}
	text := "Subject: one of many\r\nMessage-ID: <%d@many.example>\r\n\r\n" + strings.Repeat("a line of text of some length\r\n", size/31)
	sent := make(chan error, 1)
	go func() {
		for i := range n {
			err := a.Add(ctx, note(fmt.Sprintf(text, i)))
			if err == nil && ((i+1)%window == 0 || i == n-1) {
				err = a.Flush(ctx)
			}
			if err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for got := 0; got < n; got += window {
		answer, err := a.Receive(ctx)
		if err := errors.Join(append(answer.Each, err, answer.Refused)...); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(<-sent, a.Close()); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkAppend(b *testing.B) {
	server := servers.Dovecot(b, servers.DovecotConfig{})
	for _, window := range []int{50, 100, 200} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			for i := range b.N {
				user := fmt.Sprintf("b%d-%d-%d", window, b.N, i)
				s, err := open(b.Context(), dovecotAccount(server, user), Options{}, progressTimeout)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := s.Select(b.Context(), "INBOX", false); err != nil {
					b.Fatal(err)
				}
				began := time.Now()
				fill(b, s, 3000, window, 15_000)
				b.ReportMetric(3000/time.Since(began).Seconds(), "append-msg/s")
				if _, err := s.Select(b.Context(), "INBOX", true); err != nil {
					b.Fatal(err)
				}
				began = time.Now()
				if err := s.Messages(b.Context(), mailbox.Span(1, mailbox.MaxUID), func(m mailbox.Message) error {
					_, err := io.Copy(io.Discard, m.Body)
					return err
				}); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(3000/time.Since(began).Seconds(), "fetch-msg/s")
				began = time.Now()
				if err := s.Metas(b.Context(), mailbox.Span(1, mailbox.MaxUID), func(mailbox.Meta) error { return nil }); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(3000/time.Since(began).Seconds(), "meta-msg/s")
				_ = s.Close()
			}
		})
	}
}
