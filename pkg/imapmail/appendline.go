package imapmail

import (
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// arguments are the tokens between the folder and the literal: flags and date, made
// anew from parsed values and never passed on as they came.
func arguments(m mailbox.NewMessage) string {
	args := " (" + strings.Join(sendable(m.Flags), " ") + ") "
	if date, ok := wireDate(m.Date); ok {
		args += `"` + date + `" `
	}
	return args
}

// wireDate is RFC 9051's date-time. Dates that it cannot express, or that servers
// refuse (Cyrus and Courier, before 1970), are left to the server.
func wireDate(t time.Time) (string, bool) {
	if y := t.Year(); t.IsZero() || y < 1970 || y > 9999 {
		return "", false
	}
	if _, offset := t.Zone(); offset <= -24*60*60 || offset >= 24*60*60 {
		t = t.UTC()
	}
	return t.Format("02-Jan-2006 15:04:05 -0700"), true
}

// maxKeyword is what Dovecot takes; it refuses the message with a longer one.
const maxKeyword = 63

// sendable returns the flags that may stand in a command: the five system flags,
// and keywords of atom characters (RFC 9051 section 9) without the brackets and
// tildes that servers refuse.
func sendable(flags mailbox.Flags) []string {
	var out []string
	for _, f := range flags {
		switch f {
		case mailbox.Answered, mailbox.Deleted, mailbox.Draft, mailbox.Flagged, mailbox.Seen:
			out = append(out, f)
			continue
		}
		odd := strings.ContainsFunc(f, func(r rune) bool {
			return r <= ' ' || r > '~' || strings.ContainsRune("(){}%*\"\\[]~", r)
		})
		if f != "" && !odd && len(f) <= maxKeyword {
			out = append(out, f)
		}
	}
	return out
}
