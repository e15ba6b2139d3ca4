package chaos_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestVerdicts: only what the judge has compared may be excused.
func TestVerdicts(t *testing.T) {
	const none = "missing=0 extra=0 duplicate=0 altered=0 wrong_date=0 wrong_zone=0 wrong_flags=0 folders_missing=0 folders_extra=0"
	with := func(what string) string {
		word, _, _ := strings.Cut(what, "=")
		return "DIFFERENT source=120 target=121 " + strings.Replace(none, word+"=0", what, 1) + "\n"
	}
	for told, want := range map[string]struct {
		same    bool
		doubled int
	}{
		"SAME source=120 target=120 " + none + "\n":                         {true, 0},
		"SAME source=0 target=0 " + none + "\n":                             {},
		"  duplicate b'INBOX' uid 7\n" + with("duplicate=2"):                {false, 2},
		strings.Replace(with("duplicate=2"), "extra=0", "extra=1", 1):       {},
		strings.Replace(with("duplicate=2"), "source=120", "source=119", 1): {},
		with("missing=1"):     {},
		with("altered=1"):     {},
		with("wrong_date=1"):  {},
		with("wrong_flags=1"): {},
		"target: ConnectionRefusedError(111, 'Connection refused')\n": {},
		"": {},
	} {
		if same, doubled := verdict(told, 120); same != want.same || doubled != want.doubled {
			t.Errorf("%q: %v, %d doubled; want %+v", told, same, doubled, want)
		}
	}
}

// TestTheServersLog: what the judges of writers look for is found in lines as Dovecot
// writes them.
func TestTheServersLog(t *testing.T) {
	lines := `1795320869.000000 imap-login: Info: Login: user=<t1>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, mpid=1, secured, session=<A>
1795320870.000000 imap(t1)<1><A>: Info: save: box=INBOX, uid=1
1795320871.000000 imap-login: Info: Login: user=<t1>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, mpid=2, secured, session=<B>
1795320872.000000 imap(t1)<2><B>: Info: save: box=INBOX, uid=2
1795320873.500000 imap(t1)<1><A>: Info: flag_change: box=INBOX, uid=1, flags=(\Seen)
1795320874.000000 imap(t1)<1><A>: Info: Disconnected: Connection closed (UID FETCH finished 0.001 secs ago) in=1 out=2
1795320880.000000 imap(t1)<2><B>: Info: save: box=INBOX, uid=3
1795320881.000000 imap(t1)<2><B>: Info: Disconnected: Logged out in=1 out=2
1795320882.000000 imap-login: Info: Disconnected: Connection closed (no auth attempts in 0 secs): user=<>
`
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	deeds, err := readLog(path)
	if err != nil || len(deeds) != 8 || saved(deeds)["t1"] != 3 || deeds[5].what != cutOff || deeds[7].what != left {
		t.Errorf("%+v, %v", deeds, err)
	}
	if c := crossings(deeds); len(c) != 2 || c[0].again.session != "A" || c[0].between.session != "B" {
		t.Errorf("two writers: %v", c)
	}
	killed := time.Unix(1795320873, 600e6)
	if r := recoveries(deeds, []time.Time{killed}); len(r) != 1 || r[0].user != "t1" || r[0].on.Sub(killed) != 6400*time.Millisecond {
		t.Errorf("went on: %+v", r)
	}
	if r := recoveries(deeds[:6], []time.Time{killed}); len(r) != 1 || !r[0].on.IsZero() {
		t.Errorf("never went on: %+v", r)
	}
}
