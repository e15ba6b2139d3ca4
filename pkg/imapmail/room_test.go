package imapmail

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// TestRoom: what a server tells of quota and limits, in the ways that servers do.
func TestRoom(t *testing.T) {
	quota := func(lines ...string) func(*script) {
		return func(s *script) {
			tag := s.hear(`GETQUOTAROOT "INBOX"`)
			for _, l := range lines {
				s.say("%s", l)
			}
			s.say("%s OK done", tag)
		}
	}
	for _, tt := range []struct {
		name, words string
		answer      func(*script)
		want        mailbox.Room
	}{
		{"nothing is told", "", func(*script) {}, mailbox.Room{}},
		{"a limit for all", "APPENDLIMIT=1000", func(*script) {}, mailbox.Room{AppendLimit: 1000}},
		{"a limit of the folder's own", "APPENDLIMIT", func(s *script) {
			tag := s.hear("STATUS INBOX (APPENDLIMIT)")
			s.say("* STATUS INBOX (APPENDLIMIT 2000)\r\n%s OK", tag)
		}, mailbox.Room{AppendLimit: 2000}},
		{"a folder without a limit", "APPENDLIMIT", func(s *script) {
			tag := s.hear("STATUS INBOX (APPENDLIMIT)")
			s.say("* STATUS INBOX (APPENDLIMIT NIL)\r\n%s OK", tag)
		}, mailbox.Room{}},
		{
			"Dovecot", "QUOTA", quota(`* QUOTAROOT INBOX "User quota"`, `* QUOTA "User quota" (STORAGE 10 512)`),
			mailbox.Room{Used: 10 << 10, Limit: 512 << 10},
		},
		{
			"messages too, and no name", "QUOTA", quota(`* QUOTAROOT "INBOX" ""`, `* QUOTA "" (MESSAGE 5 1000 STORAGE 3 4)`),
			mailbox.Room{Used: 3 << 10, Limit: 4 << 10},
		},
		{
			"of two roots the one with less room", "QUOTA",
			quota(`* QUOTAROOT INBOX a b c`, `* QUOTA a (STORAGE 0 100)`, `* QUOTA b (storage 95 100)`, `* QUOTA c (STORAGE 50 100)`),
			mailbox.Room{Used: 95 << 10, Limit: 100 << 10},
		},
		{"no limit of storage", "QUOTA", quota(`* QUOTAROOT INBOX a`, `* QUOTA a ()`, `* QUOTA b (MESSAGE 1 2)`), mailbox.Room{}},
		{"nonsense", "QUOTA", quota(`* QUOTA`, `* QUOTA (STORAGE`, `* QUOTA a (STORAGE -1 x)`, `* QUOTA a (STORAGE 1 99999999999999999999)`), mailbox.Room{}},
		{"refused", "QUOTA", func(s *script) { s.say("%s NO not here", s.hear("GETQUOTAROOT")) }, mailbox.Room{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := opened(t, scripted(t, func(s *script) {
				s.welcome(tt.words)
				tt.answer(s)
				s.say("%s OK still there", s.hear("NOOP"))
			}))
			got, err := s.Room(t.Context())
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
			if err := s.client.Noop().Wait(); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// TestRoomOfAConnectionThatEnds: it is the connection's fault, not an answer.
func TestRoomOfAConnectionThatEnds(t *testing.T) {
	s := opened(t, scripted(t, func(s *script) {
		s.welcome("QUOTA")
		s.hear("GETQUOTAROOT")
		s.say(`* QUOTA a (STORAGE 0 100)`)
		_ = s.c.Close()
	}))
	_, err := s.Room(t.Context())
	if f := migration.AsFault(err); f == nil || f.Code != migration.ConnectionFailed {
		t.Errorf("got %v", err)
	}
}

// TestSizesAreAskedForAlone: no header and no flag is asked for, and what the server
// tells besides is passed over.
func TestSizesAreAskedForAlone(t *testing.T) {
	s := opened(t, scripted(t, func(s *script) {
		s.welcome("")
		tag := s.hear(`EXAMINE "Big"`)
		s.say("* 3 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n* OK [UIDNEXT 10] x\r\n%s OK [READ-ONLY] x", tag)
		tag, fetch, _ := strings.Cut(s.line(), " ")
		if want := "UID FETCH 1:9 (UID INTERNALDATE RFC822.SIZE)"; !sameWords(fetch, want) {
			s.t.Errorf("heard %q, want %q", fetch, want)
		}
		s.say(`* 1 FETCH (UID 2 RFC822.SIZE 100 INTERNALDATE " 1-Jul-2026 12:00:00 +0000")`)
		s.say(`* 2 FETCH (FLAGS (\Seen))`)
		s.say(`* 3 FETCH (RFC822.SIZE 5000000000 UID 7 INTERNALDATE " 2-Jul-2026 12:00:00 +0000")`)
		s.say(`* 3 FETCH (RFC822.SIZE 5000000000 UID 7 INTERNALDATE " 2-Jul-2026 12:00:00 +0000")`)
		s.say("%s OK done", tag)
	}))
	if _, err := s.Select(t.Context(), "Big", true); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := s.Sizes(t.Context(), mailbox.Span(1, 9), func(uid mailbox.UID, size int64, date time.Time) error {
		got = append(got, fmt.Sprintf("%d %d %d", uid, size, date.UTC().Day()))
		return nil
	})
	slices.Sort(got)
	if want := []string{"2 100 1", "7 5000000000 2"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// sameWords tells whether two commands have the same words, in any order.
func sameWords(a, b string) bool {
	words := func(s string) (out []string) {
		for _, t := range tokens([]byte(s)) {
			out = append(out, t.value)
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(words(a), words(b))
}
