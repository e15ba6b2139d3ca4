package matrix_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/mailhaul/mailhaul/test/servers"
)

// contents is a mailbox as another program reads it: by folder, a line for each
// message, of its content, its flags and its date.
type contents map[string][]string

// readers are the programs that read both sides beside the judge.
var readers = map[string]func(t *testing.T, port int, user string) contents{
	"mbsync": readByMbsync, "mutt": readByMutt,
}

// readersAgree has both sides read by other programs. They see the same, apart from
// what the target refuses and what it changes by itself, as the judge has proved.
func (s source) readersAgree(t *testing.T, to kind, port int, user string, p pass, v verdict, names []string) {
	t.Helper()
	if s.name == "memory" || to.name == "memory" {
		return // go-imap's server tells flags in small letters, which mbsync does not know
	}
	for _, name := range names {
		if name == "mbsync" && s.servesNUL() && (isCyrus(s.kind) || isCyrus(to)) {
			continue // it gives up at a NUL that Cyrus serves
		}
		here, there := readers[name](t, s.port, "u0000"), readers[name](t, port, user)
		for _, r := range p.Renamed {
			here[strings.TrimPrefix(r.To, "INBOX.")] = here[r.From]
			delete(here, r.From)
		}
		lost, extra := here.without(there), there.without(here)
		t.Logf("%s finds %d folders with %d messages, of which the target has changed %d", name, len(there), there.messages(), len(extra))
		// mbsync passes over what is marked as deleted, and over a header without an end.
		if len(extra) > v.Normalised || len(lost) < len(extra) || len(lost) > len(extra)+v.Refused {
			t.Errorf("%s sees more than the judge (%d changed, %d refused by the target itself):\nonly at the source:\n%s\nonly at the target:\n%s",
				name, v.Normalised, v.Refused, strings.Join(lost, "\n"), strings.Join(extra, "\n"))
		}
		for folder := range here {
			if _, ok := there[folder]; !ok {
				t.Errorf("%s does not find the folder %q at the target", name, folder)
			}
		}
	}
}

func isCyrus(k kind) bool { return strings.HasPrefix(k.name, "cyrus") }

// servesNUL reports whether there are NULs in s's mail: Dovecot keeps none.
func (s source) servesNUL() bool {
	return s.nul && (isCyrus(s.kind) || strings.HasPrefix(s.name, "courier"))
}

func (c contents) messages() (n int) {
	for _, lines := range c {
		n += len(lines)
	}
	return n
}

// without returns the messages that are not in other, as often as they are not.
func (c contents) without(other contents) (out []string) {
	for _, folder := range slices.Sorted(maps.Keys(c)) {
		rest := slices.Clone(other[folder])
		for _, m := range c[folder] {
			if i := slices.Index(rest, m); i >= 0 {
				rest = slices.Delete(rest, i, i+1)
			} else {
				out = append(out, folder+": "+m)
			}
		}
	}
	return out
}

const mbsyncConf = `FSync no

IMAPAccount far
Host 127.0.0.1
Port %d
User %s
Pass %s
SSLType None
AuthMechs LOGIN

IMAPStore far
Account far
UseNamespace no

MaildirStore near
Path %[4]s/mail/
Inbox %[4]s/mail/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
Create Near
Sync Pull
CopyArrivalDate yes
SyncState %[4]s/state/
`

// mbsync lists (--list) the folders of a mailbox, named as the server has them but for
// the delimiter, or pulls it (--pull) into directories of those names below dir.
func mbsync(t *testing.T, port int, user, dir, does string) []string {
	t.Helper()
	for _, d := range []string{"mail", "state"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	conf := filepath.Join(dir, "mbsyncrc")
	if err := os.WriteFile(conf, fmt.Appendf(nil, mbsyncConf, port, user, servers.Password, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("mbsync", "-q", "-c", conf, does, "c")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("mbsync (Debian's package isync): %v\n%s%s", err, out, stderr.String())
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// tuid is the header that mbsync gives its copies.
var tuid = regexp.MustCompile(`(?m)^X-TUID: .*\n`)

// readByMbsync pulls a mailbox into a Maildir, whose files have the flags in their
// names and the date of their arrival.
func readByMbsync(t *testing.T, port int, user string) contents {
	t.Helper()
	dir := t.TempDir()
	folders := mbsync(t, port, user, dir, "--list")
	mbsync(t, port, user, dir, "--pull")
	found := contents{}
	for _, folder := range folders {
		name := told(t, folder)
		found[name] = []string{}
		at := filepath.Join(dir, "mail", folder)
		files, err := fs.Glob(os.DirFS(at), "[cn][ue][rw]/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(filepath.Join(at, file))
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(filepath.Join(at, file))
			if err != nil {
				t.Fatal(err)
			}
			_, flags, _ := strings.Cut(file, ":2,")
			head, body, _ := bytes.Cut(text, []byte("\n\n"))
			text = slices.Concat(tuid.ReplaceAll(append(head, '\n'), nil), []byte("\n"), body)
			found[name] = append(found[name], line(text, flags, info.ModTime().UTC().Format(time.DateTime)))
		}
	}
	return found
}

// line tells a message from others, and is something to look for it by.
func line(text []byte, flags, date string) string {
	_, subject, _ := strings.Cut("\n"+string(text), "\nSubject: ")
	subject, _, _ = strings.Cut(subject, "\n")
	return fmt.Sprintf("%x [%s] %s %q", sha256.Sum256(text), flags, date, subject)
}

const muttrc = `set folder="%[4]s" imap_user="%[1]s" imap_pass="%[2]s"
set ssl_starttls=no ssl_force_tls=no
set charset=utf-8 mbox_type=mbox sort=mailbox-order
set confirmcreate=no confirmappend=no quit=yes mark_old=no sleep_time=0 wait_key=no
push "<tag-pattern>~A<enter><tag-prefix-cond><copy-message>%[3]s<enter><exit>"
`

// readByMutt opens every folder in mutt, which begins only where there are messages,
// and has it copy all of them to a file, with the flags and the date. Which folders
// there are is mbsync's to say: mutt shows that to a person alone.
func readByMutt(t *testing.T, port int, user string) contents {
	t.Helper()
	dir, found := t.TempDir(), contents{}
	for i, folder := range mbsync(t, port, user, dir, "--list") {
		box, rc := filepath.Join(dir, strconv.Itoa(i)+".mbox"), filepath.Join(dir, "muttrc")
		if err := os.WriteFile(rc, fmt.Appendf(nil, muttrc, user, servers.Password, box, dir), 0o600); err != nil {
			t.Fatal(err)
		}
		at := url.URL{Scheme: "imap", User: url.User(user), Host: address(port), Path: decoded(t, folder)}
		found[told(t, folder)] = messagesOf(t, mutt(t, rc, at.String(), box))
	}
	return found
}

// mutt runs it in a terminal (script is of every Debian) and returns the file that it
// has made.
func mutt(t *testing.T, rc, folder, box string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "script", "-qec", `exec mutt -n -R -z -F "$MUTTRC" -f "$FOLDER"`, "/dev/null")
	cmd.Env = append(os.Environ(), "TERM=vt100", "LC_ALL=C.UTF-8", "MUTTRC="+rc, "FOLDER="+folder, "HOME="+filepath.Dir(rc))
	keys, err := cmd.StdinPipe() // stays open: its end would be a key pressed
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = keys.Close() }()
	out, err := cmd.CombinedOutput()
	if err != nil && !strings.Contains(string(out), "Mailbox is empty") {
		t.Fatalf("mutt on %s: %v\n%q", folder, err, out[max(0, len(out)-300):])
	}
	text, err := os.ReadFile(box)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return text
}

// messagesOf takes mutt's mbox apart by the lengths that it writes.
func messagesOf(t *testing.T, mbox []byte) []string {
	t.Helper()
	out := []string{}
	for len(mbox) > 0 {
		head, rest, _ := bytes.Cut(mbox, []byte("\n\n"))
		from, head, _ := bytes.Cut(head, []byte("\n"))
		_, after, ok := bytes.Cut(append(head, '\n'), []byte("Content-Length: "))
		length, _, _ := bytes.Cut(after, []byte("\n"))
		n, err := strconv.Atoi(string(length))
		if !ok || err != nil || n > len(rest) || !bytes.HasPrefix(from, []byte("From ")) {
			t.Fatalf("mutt wrote %q: %v", from, err)
		}
		var flags []string
		for _, l := range bytes.Split(head, []byte("\n")) {
			if bytes.Contains(l, []byte("Status: ")) {
				flags = append(flags, string(l))
			}
		}
		out = append(out, line(slices.Concat(head, []byte("\n\n"), rest[:n]), strings.Join(flags, " "), string(from)))
		mbox = bytes.TrimPrefix(rest[n:], []byte("\n"))
	}
	return out
}

// told is a folder's name without what some servers put before all but INBOX.
func told(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimPrefix(decoded(t, name), "INBOX/")
}

// decoded is a folder's name as people read it (RFC 3501 section 5.1.3).
func decoded(t *testing.T, name string) string {
	t.Helper()
	encoding := base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)
	return regexp.MustCompile(`&[^-]*-`).ReplaceAllStringFunc(name, func(s string) string {
		if s == "&-" {
			return "&"
		}
		b, err := encoding.DecodeString(s[1 : len(s)-1])
		if err != nil || len(b)%2 != 0 {
			t.Fatalf("folder %q: %v", name, err)
		}
		var units []uint16
		for i := 0; i < len(b); i += 2 {
			units = append(units, uint16(b[i])<<8|uint16(b[i+1]))
		}
		return string(utf16.Decode(units))
	})
}
