package chaos_test

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// writesLogged makes a Dovecot write down each message and flag that a connection
// writes, with the time.
const writesLogged = `log_timestamp = "%s.%{usecs} "
mail_plugins = mail_log notify
plugin {
  mail_log_events = save copy expunge flag_change
  mail_log_fields = uid box
  mail_log_cached_only = yes
}
`

// deed is one line of the target's log: what a connection did.
type deed struct {
	at            time.Time
	user, session string
	what          deedKind
	detail        string
}

type deedKind int

const (
	loggedIn deedKind = iota
	wrote             // a message or a flag
	left              // with LOGOUT
	cutOff            // without
)

var (
	stamp  = `^(\d+)\.(\d{6}) `
	login  = regexp.MustCompile(stamp + `imap-login: Info: Login: user=<([^>]*)>.* session=<([^>]*)>`)
	inMail = regexp.MustCompile(stamp + `imap\(([^)]*)\)<\d+><([^>]*)>: Info: (save|copy|expunge|flag_change|Disconnected|Connection closed)(.*)`)
	logout = regexp.MustCompile(`^: Logged out`)
)

// readLog reads what connections did to the mailboxes of a Dovecot, in order.
func readLog(path string) (deeds []deed, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); ; {
		if !lines.Scan() {
			return deeds, lines.Err()
		}
		if m := login.FindStringSubmatch(lines.Text()); m != nil {
			deeds = append(deeds, deed{at: stamped(m), user: m[3], session: m[4], what: loggedIn})
			continue
		}
		m := inMail.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		d := deed{at: stamped(m), user: m[3], session: m[4], what: wrote, detail: m[5] + m[6]}
		switch {
		case m[5] != "Disconnected" && m[5] != "Connection closed":
		case logout.MatchString(m[6]):
			d.what = left
		default:
			d.what = cutOff
		}
		deeds = append(deeds, d)
	}
}

func stamped(m []string) time.Time {
	s, _ := strconv.ParseInt(m[1], 10, 64)
	us, _ := strconv.ParseInt(m[2], 10, 64)
	return time.UnixMicro(s*1e6 + us)
}

// saved counts the messages that each mailbox was sent.
func saved(deeds []deed) map[string]int {
	out := map[string]int{}
	for _, d := range deeds {
		if d.what == wrote && strings.HasPrefix(d.detail, "save") {
			out[d.user]++
		}
	}
	return out
}

// crossing is a mailbox into which one connection wrote after another had begun to.
type crossing struct {
	user string
	// again wrote between's time; between had written since again wrote before.
	again, between deed
}

func (c crossing) String() string {
	return fmt.Sprintf("%s: connection %s wrote (%s) at %s, %s after %s had written (%s)", c.user, c.again.session, c.again.detail,
		c.again.at.Format("15:04:05.000"), c.again.at.Sub(c.between.at).Round(time.Millisecond), c.between.session, c.between.detail)
}

// crossings finds two writers in one mailbox: a connection that writes again after
// another one wrote. One each such pair of connections.
func crossings(deeds []deed) (found []crossing) {
	type box struct {
		last  deed
		wrote map[string]bool // sessions, ever
		told  map[string]bool
	}
	boxes := map[string]*box{}
	for _, d := range deeds {
		if d.what != wrote {
			continue
		}
		b := boxes[d.user]
		if b == nil {
			b = &box{wrote: map[string]bool{}, told: map[string]bool{}}
			boxes[d.user] = b
		}
		if b.last.session != d.session && b.wrote[d.session] && !b.told[d.session] {
			b.told[d.session] = true
			found = append(found, crossing{user: d.user, again: d, between: b.last})
		}
		b.wrote[d.session], b.last = true, d
	}
	return found
}

// away is a time in which a mailbox could not go on: Redis or the database did not
// answer, or the worker that took it over was frozen.
type away struct{ from, to time.Time }

// recovery is how long a mailbox stood still after its worker was killed: until
// somebody wrote into it again, or left it in step.
type recovery struct {
	user    string
	hit, on time.Time // on is zero where it never went on
}

// recoveries looks for the connections that ended without LOGOUT when a worker was
// killed at one of the times, and for what next happened to their mailboxes. A
// mailbox that was hit again before is counted from the last hit.
func recoveries(deeds []deed, killed []time.Time) (out []recovery) {
	const soon = 3 * time.Second // a busy server takes its time to notice
	hit := map[string]time.Time{}
	for _, d := range deeds {
		switch d.what {
		case cutOff:
			for _, k := range killed {
				if d.at.After(k) && d.at.Sub(k) < soon {
					hit[d.user] = k
				}
			}
		case wrote, left:
			// What was under way when the worker died still arrives.
			if k, waits := hit[d.user]; waits && d.at.Sub(k) > soon {
				out = append(out, recovery{user: d.user, hit: k, on: d.at})
				delete(hit, d.user)
			}
		}
	}
	for user, k := range hit {
		out = append(out, recovery{user: user, hit: k})
	}
	return out
}

// since is when a mailbox that stood still from one time to another could have gone
// on at last: when the last outage meanwhile was over.
func since(from, to time.Time, outages []away) (at time.Time, waited bool) {
	at = from
	for _, o := range outages {
		if o.from.Before(to) && o.to.After(at) {
			at, waited = o.to, true
		}
	}
	if at.After(to) {
		at = to // it went on before the outage was over
	}
	return at, waited
}
