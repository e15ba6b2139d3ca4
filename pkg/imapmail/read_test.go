package imapmail

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestBodyBeforeFlagsIsHeld(t *testing.T) {
	large := strings.Repeat("0123456789abcdef\r\n", 200_000) // more than is held in memory
	a := scripted(t, func(s *script) {
		s.welcome("")
		tag := s.hear("UID FETCH 1:3 ")
		s.say("* 1 FETCH (UID 1 BODY[] {5}\r\nfirst FLAGS (\\Seen) INTERNALDATE \"01-Jan-2020 00:00:00 +0000\")")
		s.say("* 2 FETCH (UID 2 BODY[] {%d}\r\n%s FLAGS (\\Draft) INTERNALDATE NIL)", len(large), large)
		s.say("* 3 FETCH (UID 3 FLAGS () INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] NIL)")
		s.say("%s OK done", tag)
	})
	s := opened(t, a)
	var got []string
	err := s.Messages(t.Context(), mailbox.Span(1, 3), func(m mailbox.Message) error {
		body, err := io.ReadAll(m.Body)
		if int64(len(body)) != m.Size || m.UID == 2 && string(body) != large {
			t.Errorf("uid %d: %d bytes, size %d", m.UID, len(body), m.Size)
		}
		date := "no date"
		if !m.Date.IsZero() {
			date = m.Date.Format("2006")
		}
		got = append(got, m.Flags.String()+" "+date)
		return err
	})
	want := `\Seen 2020,\Draft no date`
	if err != nil || strings.Join(got, ",") != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestCutInsideAMessageIsAnError(t *testing.T) {
	a := scripted(t, func(s *script) {
		s.welcome("")
		s.hear("UID FETCH")
		s.say("* 1 FETCH (UID 1 FLAGS () INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] {100}\r\nhalf of it")
		_ = s.c.Close()
	})
	s := opened(t, a)
	err := s.Messages(t.Context(), mailbox.Span(1, 1), func(m mailbox.Message) error {
		_, err := io.Copy(io.Discard, m.Body)
		if err == nil {
			t.Error("half a message reads as a whole one")
		}
		return err
	})
	var f *migration.Fault
	if !errors.As(err, &f) || f.Code != migration.ConnectionFailed || f.Scope != migration.ScopeEndpoint || f.Side != migration.Source {
		t.Errorf("got %v", err)
	}
	if _, err := s.Select(t.Context(), "INBOX", true); !errors.As(err, &f) || f.Scope != migration.ScopeEndpoint {
		t.Errorf("afterwards: %v", err)
	}
}

func TestOneUnreadableMessageLeavesTheConnection(t *testing.T) {
	a := scripted(t, func(s *script) {
		s.welcome("")
		s.say("%s NO [SERVERBUG] Internal error", s.hear("UID FETCH"))
		s.say("%s OK [READ-ONLY] open", s.hear("EXAMINE"))
		s.say("%s NO", s.hear("STATUS"))
	})
	s := opened(t, a)
	var f *migration.Fault
	err := s.Messages(t.Context(), mailbox.Span(1, 1), func(mailbox.Message) error { return nil })
	if !errors.As(err, &f) || f.Code != migration.MessageUnreadable || f.Scope != migration.ScopeMessage {
		t.Errorf("got %v", err)
	}
	if _, err := s.Select(t.Context(), "INBOX", true); !errors.As(err, &f) || f.Scope != migration.ScopeFolder {
		t.Errorf("got %v", err)
	}
}

func TestCourierTellsUIDNextByStatusAlone(t *testing.T) {
	a := scripted(t, func(s *script) {
		s.welcome("")
		tag := s.hear("SELECT INBOX")
		s.say("* FLAGS (\\Draft \\Answered \\Flagged \\Deleted \\Seen \\Recent)")
		s.say("* OK [PERMANENTFLAGS (\\* \\Draft \\Answered \\Flagged \\Deleted \\Seen)] Limited")
		s.say("* 2 EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 800000000] Ok\r\n* OK [MYRIGHTS \"acdilrsw\"] ACL")
		s.say("%s OK [READ-WRITE] Ok", tag)
		tag = s.hear("STATUS INBOX")
		s.say("* STATUS \"INBOX\" (UIDNEXT 7 UIDVALIDITY 800000000)")
		s.say("%s OK STATUS Completed.", tag)
	})
	sel, err := opened(t, a).Select(t.Context(), "INBOX", false)
	if err != nil || sel.UIDNext != 7 || sel.Messages != 2 || !sel.AnyKeyword || len(sel.Permanent) != 5 {
		t.Errorf("got %+v, %v", sel, err)
	}
}

func TestOnlyThePersonalNamespaceIsListed(t *testing.T) {
	a := scripted(t, func(s *script) {
		s.say("* OK ready")
		s.say("%s OK [CAPABILITY IMAP4rev1 NAMESPACE] in", s.hear("LOGIN"))
		// NAMESPACE, LSUB and LIST come together, before any is answered.
		namespace, lsub, list := s.hear("NAMESPACE"), s.hear("LSUB"), s.hear("LIST")
		s.say(`* NAMESPACE (("INBOX." ".")) (("user." ".")) (("shared." ".")("" "."))`)
		s.say("%s OK", namespace)
		s.say("* LSUB () \".\" \"INBOX.Entw&APw-rfe\"\r\n* LSUB () \".\" {5}\r\nINBOX\r\n%s OK", lsub)
		for _, name := range []string{"INBOX", "INBOX.Sent", "user.bert", "shared.all", "INBOX.Entw&APw-rfe", "INBOX.INBOX", "INBOX.a.b"} {
			attribute := `\HasNoChildren`
			if name == "INBOX.a.b" {
				attribute = `\Noselect`
			}
			s.say(`* LIST (%s) "." "%s"`, attribute, name)
		}
		s.say("%s OK", list)
		for range 4 {
			line := s.line()
			tag, rest, _ := strings.Cut(line, " STATUS ")
			name, _, _ := strings.Cut(rest, " (")
			if name != `"INBOX.Sent"` {
				s.say("* STATUS %s (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3)", name)
			}
			s.say("%s OK", tag)
		}
	})
	s := opened(t, a)
	folders, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range folders {
		line := f.Name + "=" + strings.Join(f.Path, "/")
		if f.Subscribed {
			line += " subscribed"
		}
		if !f.Selectable {
			line += " no mailbox"
		}
		if f.Status == nil {
			line += " no numbers"
		}
		got = append(got, line)
	}
	want := "INBOX=INBOX subscribed; INBOX.Entwürfe=Entwürfe subscribed; INBOX.INBOX=INBOX/INBOX; INBOX.Sent=Sent no numbers; INBOX.a.b=a/b no mailbox no numbers"
	if strings.Join(got, "; ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "; "), want)
	}
	if n := s.Naming(); n.Prefix != "INBOX." || n.Delimiter != "." {
		t.Errorf("%+v", n)
	}
}

func TestLongSetsAreCut(t *testing.T) {
	var set mailbox.UIDSet
	for u := mailbox.UID(1); u < 20_000; u += 2 {
		set.Append(u * 1000)
	}
	n := int64(0)
	for _, part := range wireSets(set) {
		if len(part.String()) > maxSetText {
			t.Errorf("a set of %d bytes", len(part.String()))
		}
		n += int64(len(part))
	}
	if n != set.Len() {
		t.Errorf("%d of %d", n, set.Len())
	}
}

// A server may tell changed flags, UID and all, before the reply to a FETCH.
func TestMetasBesideFlagsThatChange(t *testing.T) {
	a := scripted(t, func(s *script) {
		s.welcome("")
		tag := s.hear("UID FETCH 1:2 ")
		s.say("* 1 FETCH (UID 1 FLAGS () RFC822.SIZE 5 BODY[HEADER.FIELDS (MESSAGE-ID)] {2}\r\n\r\n)")
		s.say("* 2 FETCH (UID 2 FLAGS (\\Seen))")
		s.say("* 2 FETCH (UID 2 FLAGS (\\Seen) RFC822.SIZE 7 BODY[HEADER.FIELDS (MESSAGE-ID)] {2}\r\n\r\n)")
		s.say("* 1 FETCH (UID 1 FLAGS (\\Seen))") // and after it
		s.say("* 1 FETCH (FLAGS (\\Seen))")
		s.say("%s OK done", tag)
	})
	sizes := map[mailbox.UID]int64{}
	err := opened(t, a).Metas(t.Context(), mailbox.Span(1, 2), func(m mailbox.Meta) error {
		if _, twice := sizes[m.UID]; twice {
			t.Errorf("uid %d twice", m.UID)
		}
		sizes[m.UID] = m.Size
		return nil
	})
	if err != nil || len(sizes) != 2 || sizes[1] != 5 || sizes[2] != 7 {
		t.Errorf("sizes %v, %v", sizes, err)
	}
}

// A server may tell the UID after the body, or of a message that nobody asked for.
func TestUIDAfterTheBody(t *testing.T) {
	large := strings.Repeat("0123456789abcdef\r\n", 200_000)
	a := scripted(t, func(s *script) {
		s.welcome("")
		tag := s.hear("UID FETCH 1:4 ")
		s.say("* 1 FETCH (FLAGS () INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] {5}\r\nfirst UID 1)")
		s.say("* 2 FETCH (BODY[] {%d}\r\n%s FLAGS (\\Draft) UID 2)", len(large), large)
		s.say("* 3 FETCH (UID 3 FLAGS () INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] {5}\r\nthird)")
		s.say("* 9 FETCH (BODY[] {5}\r\nninth UID 9)")
		s.say("* 1 FETCH (FLAGS (\\Seen))")
		s.say("* 4 FETCH (BODY[] {6}\r\nfourth UID 4)")
		s.say("%s OK done", tag)
		tag = s.hear("UID FETCH 1:2 ")
		s.say("* 1 FETCH (RFC822.SIZE 5 BODY[HEADER.FIELDS (MESSAGE-ID)] {2}\r\n\r\n UID 1)")
		s.say("* 2 FETCH (RFC822.SIZE 7 BODY[HEADER.FIELDS (MESSAGE-ID)] {2}\r\n\r\n UID 2)")
		s.say("%s OK done", tag)
	})
	s := opened(t, a)
	got := map[mailbox.UID]int{}
	err := s.Messages(t.Context(), mailbox.Span(1, 4), func(m mailbox.Message) error {
		body, err := io.ReadAll(m.Body)
		if m.UID == 2 && string(body) != large || int64(len(body)) != m.Size {
			t.Errorf("uid %d: %d bytes, size %d", m.UID, len(body), m.Size)
		}
		got[m.UID]++
		return err
	})
	if err != nil || len(got) != 4 || got[1]+got[2]+got[3]+got[4] != 4 {
		t.Errorf("messages %v, %v", got, err)
	}
	sizes := map[mailbox.UID]int64{}
	if err := s.Metas(t.Context(), mailbox.Span(1, 2), func(m mailbox.Meta) error {
		sizes[m.UID] = m.Size
		return nil
	}); err != nil || sizes[1] != 5 || sizes[2] != 7 {
		t.Errorf("sizes %v, %v", sizes, err)
	}
}

// What ends the reading of such a message ends the call and the connection.
func TestErrorAtAMessageWithItsUIDLast(t *testing.T) {
	a := scripted(t, func(s *script) {
		s.welcome("")
		s.say("* 1 FETCH (FLAGS () BODY[] {5}\r\nfirst UID 1)\r\n%s OK done", s.hear("UID FETCH"))
	})
	s := opened(t, a)
	enough := errors.New("enough")
	if err := s.Messages(t.Context(), mailbox.Span(1, 1), func(mailbox.Message) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Select(t.Context(), "INBOX", true); err == nil {
		t.Error("the connection is still used")
	}
}
