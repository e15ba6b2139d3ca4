package servers

import (
	"crypto/x509"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/template"
)

// What every Dovecot here accepts: any user name (or those of its Users) with Password,
// and USER*MasterUser with MasterPassword for the same.
const (
	Password       = "secret"
	MasterUser     = "admin"
	MasterPassword = "master"
)

// DovecotConfig says what kind of Dovecot is wanted; zero values are Dovecot's usual.
type DovecotConfig struct {
	Format     string   // maildir (default), mdbox or sdbox
	Separator  string   // between the parts of a folder's name; default "/"
	Capability string   // replaces what the server advertises after login
	Extra      string   // further lines of dovecot.conf
	Users      []string // who has a mailbox; nil: whoever logs in
	Port       int      // of plain IMAP and STARTTLS; default: a free one
}

// IMAP is a server that runs.
type IMAP struct {
	Host    string
	Port    int            // plain, and STARTTLS
	TLSPort int            // TLS from the first byte
	CA      *x509.CertPool // trusts the certificate, which is for localhost and 127.0.0.1
	Log     string         // path of its log file
	MailDir string         // below it, each user's mail is in a directory of its name
	PID     int

	addUsers func(names []string) error // nil: whoever logs in is one
}

//go:embed dovecot.conf.tmpl
var dovecotConf string

var dovecotTemplate = template.Must(template.New("dovecot.conf").Parse(dovecotConf))

// Dovecot starts a Dovecot without any mail and stops it when the test ends.
func Dovecot(t testing.TB, c DovecotConfig) *IMAP {
	t.Helper()
	path := program(t, "dovecot", "dovecot-imapd")
	if c.Format == "" {
		c.Format = "maildir"
	}
	if c.Separator == "" {
		c.Separator = "/"
	}
	var last error
	for range attempts {
		s, p, err := startDovecot(t, path, c)
		if err == nil {
			t.Cleanup(p.stop)
			return s
		}
		log, _ := os.ReadFile(s.Log)
		last = fmt.Errorf("%w; it wrote: %s%s", err, p.out.String(), log)
	}
	t.Fatalf("start dovecot: %v", last)
	return nil
}

func startDovecot(t testing.TB, path string, c DovecotConfig) (*IMAP, *process, error) {
	t.Helper()
	dir := tempDir(t)
	s := &IMAP{
		Host: "127.0.0.1", Port: c.Port, TLSPort: freePort(t),
		Log: filepath.Join(dir, "dovecot.log"), MailDir: filepath.Join(dir, "mail"),
	}
	if s.Port == 0 {
		s.Port = freePort(t)
	}
	s.CA = certificate(t, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	conf := filepath.Join(dir, "dovecot.conf")
	writeConfig(t, conf, dir, c, s)
	p, err := start(exec.Command(path, "-F", "-c", conf))
	if err != nil {
		t.Fatal(err)
	}
	s.PID = p.cmd.Process.Pid
	if err := p.await(s.Port, says("", "* OK")); err != nil {
		p.stop()
		return s, p, err
	}
	return s, p, nil
}

// owner is the account that owns the mail: Debian's "mail" when root runs the test,
// else whoever runs it.
func owner(t testing.TB) (name, group string, root bool) {
	t.Helper()
	if os.Geteuid() == 0 {
		return "mail", "mail", true
	}
	u, err := user.Current()
	if err != nil {
		t.Fatalf("find who runs the test: %v", err)
	}
	g, err := user.LookupGroupId(u.Gid)
	if err != nil {
		t.Fatalf("find the group of who runs the test: %v", err)
	}
	return u.Username, g.Name, false
}

func writeConfig(t testing.TB, conf, dir string, c DovecotConfig, s *IMAP) {
	t.Helper()
	name, group, root := owner(t)
	for _, d := range []string{filepath.Join(dir, "run"), s.MailDir} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatalf("make a directory for dovecot: %v", err)
		}
	}
	if root {
		chown(t, s.MailDir, name)
	}
	master := fmt.Sprintf("%s:{PLAIN}%s\n", MasterUser, MasterPassword)
	if err := os.WriteFile(filepath.Join(dir, "master-users"), []byte(master), 0o644); err != nil {
		t.Fatalf("write dovecot's master users: %v", err)
	}
	var known strings.Builder
	for _, u := range c.Users {
		fmt.Fprintf(&known, "%s:{PLAIN}%s\n", u, Password)
	}
	if err := os.WriteFile(filepath.Join(dir, "users"), []byte(known.String()), 0o644); err != nil {
		t.Fatalf("write dovecot's users: %v", err)
	}
	var text strings.Builder
	err := dovecotTemplate.Execute(&text, map[string]any{
		"Config": c, "Server": s, "Dir": dir, "User": name, "Group": group, "Root": root, "Password": Password,
	})
	if err != nil {
		t.Fatalf("make dovecot's configuration: %v", err)
	}
	if err := os.WriteFile(conf, []byte(text.String()), 0o644); err != nil {
		t.Fatalf("write dovecot's configuration: %v", err)
	}
}

func chown(t testing.TB, path, name string) {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatalf("find the owner of the mail: %v", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(path, uid, gid); err != nil {
		t.Fatalf("give the mail to its owner: %v", err)
	}
}
