package imapmail

import (
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// TestAConnectionThatEndsWithMuchAhead, here over an answer to nothing: what was asked for ahead gets none,
// and is dropped, one thing after the other.
func TestAConnectionThatEndsWithMuchAhead(t *testing.T) {
	s := opened(t, scripted(t, func(s *script) {
		s.welcome("LIST-STATUS")
		tag := s.hear("EXAMINE")
		for range 5 {
			_ = s.line()
		}
		s.say("%s OK it tells nothing", tag)
		s.say("X1 OK nobody asked")
	}))
	reads := []mailbox.Read{{Set: mailbox.Span(1, 3)}, {Set: mailbox.Span(1, 9), Whole: true}}
	s.Foresee([]mailbox.Foreseen{{Folder: "INBOX", Reads: reads}, {Folder: "a", Reads: reads[:1]}})
	if _, err := s.Select(t.Context(), "INBOX", true); err == nil {
		t.Error("the folder was opened")
	}
}

// TestACommandThatGotNoAnswer is followed by the next all the same: go-imap gives up a
// connection before it refuses commands.
func TestACommandThatGotNoAnswer(t *testing.T) {
	var g gate
	g.sent("M1")
	g.sent("M2")
	for _, command := range []string{"T1 EXAMINE a\r\n", "T2 UID FETCH 1 (UID)\r\n"} {
		g.arm()
		if !g.tell([]byte(command)) {
			t.Errorf("%q is sent a second time", command)
		}
	}
}
