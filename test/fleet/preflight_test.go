package fleet_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/canary"
	"github.com/mailhaul/mailhaul/test/servers"
)

// tight is a target with 300 KB for each user, no message above 100,000 bytes, and dots
// between the parts of a folder's name.
func tight(password string) servers.DovecotConfig {
	return servers.DovecotConfig{
		Separator:  ".",
		Capability: "IMAP4rev1 LITERAL+ UIDPLUS MULTIAPPEND NAMESPACE LIST-EXTENDED LIST-STATUS STATUS=SIZE QUOTA APPENDLIMIT=100000",
		Extra: "passdb {\n  driver = static\n  args = password=" + password + "\n}\n" +
			"mail_plugins = quota\nprotocol imap {\n  mail_plugins = quota imap_quota\n}\n" +
			"plugin {\n  quota = count:User quota\n  quota_vsizes = yes\n  quota_rule = *:storage=300K\n}\n",
	}
}

// fill puts messages of these sizes into a folder of the old server.
func (m *mail) fill(user, folder string, sizes ...int) {
	m.t.Helper()
	ctx := m.t.Context()
	s, err := imapmail.NewOpener(imapmail.Account{
		Host: "127.0.0.1", Port: m.old.Port, Security: migration.Plain, User: user, Password: migration.NewSecret(servers.Password),
	}, imapmail.Options{})(ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Create(ctx, []mailbox.NewFolder{{Name: folder}})[0]; err != nil {
		m.t.Fatal(err)
	}
	a, err := s.Append(ctx, folder, mailbox.AppendMode{})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, n := range sizes {
		body := "Subject: x\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", n/18-1)
		body += strings.Repeat("x", n-len(body)-2) + "\r\n"
		if err := a.Add(ctx, mailbox.NewMessage{Message: mailbox.Message{Body: strings.NewReader(body), Size: int64(n), Date: time.Unix(1_600_000_000, 0)}}); err != nil {
			m.t.Fatal(err)
		}
	}
	err = a.Flush(ctx)
	if err == nil {
		var answer mailbox.Answer
		answer, err = a.Receive(ctx)
		err = errors.Join(err, answer.Refused, a.Close())
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// TestPreflight: before a batch is started, every user's mailboxes are looked at on two
// real servers; what a sync would meet is told, and nothing is changed.
func TestPreflight(t *testing.T) {
	t.Parallel()
	m := &mail{t: t, oldPassword: canary.Secret("old"), newPassword: canary.Secret("new"), users: []string{"fits", "full", "large", "wrong"}}
	m.old = servers.Dovecot(t, servers.DovecotConfig{Format: "sdbox", Extra: "passdb {\n  driver = static\n  args = password=" + m.oldPassword + "\n}\n"})
	m.new = servers.Dovecot(t, tight(m.newPassword))
	m.oldPort, m.newPort = m.old.Port, m.new.Port
	m.fill("fits", "INBOX", 1000, 2000)
	m.fill("full", "Archive", 90_000, 90_000, 90_000, 90_000)
	m.fill("large", "Vers. 2", 5000, 150_000)
	s := newService(t, m, time.Hour)
	s.start("worker")
	s.create()
	path := filepath.Join(t.TempDir(), "wrong.csv")
	must(t, os.WriteFile(path, []byte("EmailAddress,UserName,Password,TargetPassword\nwrong@example.org,wrong,"+canary.Secret("no")+","+m.newPassword+"\n"), 0o600))
	s.cli("batch", "add-users", batchName, "--csv", path)

	out, code := s.try("batch", "preflight", batchName, "--output", "json")
	if code != 3 {
		t.Errorf("exit code %d, want 3 (findings):\n%s", code, out)
	}
	var p client.Preflight
	must(t, json.NewDecoder(strings.NewReader(out)).Decode(&p))
	if p.Users != 4 || p.Checked != 4 || p.Left != 0 || p.Ready != 1 || p.Warnings != 1 || p.Failing != 2 || p.Messages != 8 || p.Bytes != 518_000 {
		t.Errorf("totals %+v", p)
	}
	if p.Estimate == nil || p.Estimate.Basis != "guess" || p.Estimate.ToSeconds < p.Estimate.FromSeconds {
		t.Errorf("estimate %+v", p.Estimate)
	}
	var found []string
	for _, u := range p.Items {
		line := fmt.Sprintf("%s: %d messages, largest %d in %s, %d too large;", strings.TrimSuffix(u.EmailAddress, "@example.org"), u.Messages, u.LargestSize, u.LargestFolder, u.TooLarge)
		for _, f := range u.Findings {
			line += " " + f.Code + ":" + f.Level
		}
		for _, r := range u.Renamed {
			line += " " + r.From + "=" + r.To
		}
		if u.QuotaLimit == nil || *u.QuotaLimit != 300<<10 || u.SizeLimit != 100_000 {
			line += fmt.Sprintf(" quota %v, size limit %d", u.QuotaLimit, u.SizeLimit)
		}
		found = append(found, line)
	}
	want := []string{
		"full: 4 messages, largest 90000 in Archive, 0 too large; QuotaExceeded:failing",
		"wrong: 0 messages, largest 0 in , 0 too large; AuthFailed:failing",
		"large: 2 messages, largest 150000 in Vers. 2, 1 too large; FoldersRenamed:warning MessageTooLarge:warning Vers. 2=Vers=2E 2",
		"fits: 2 messages, largest 2000 in INBOX, 0 too large;",
	}
	if got := strings.Join(found, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("found\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	b := s.batch()
	if b.Status != "Created" || b.Counts["created"] != 3 || b.Counts["needsCredentials"] != 1 || b.Messages.Copied != 0 {
		t.Errorf("the batch afterwards: %+v", b)
	}

	s.startAfterPreflight()
}

// startAfterPreflight: a start goes on as ever; while it runs there is no preflight; the
// pilot's report tells how it went.
func (s *service) startAfterPreflight() {
	s.t.Helper()
	s.cli("batch", "start", batchName)
	if out, code := s.try("batch", "preflight", batchName); code != 12 {
		s.t.Errorf("a preflight of a batch that runs: exit code %d, want 12\n%s", code, out)
	}
	s.await("what can be moved is moved", func() bool {
		n := s.batch().Counts
		return n["synced"] == 2 && n["failed"] == 1
	})
	out, code := s.try("batch", "preflight", batchName, "--show")
	if code != 3 || !strings.Contains(out, "QuotaExceeded") || !strings.Contains(out, "Pilot "+batchName+": 2 mailboxes in step") {
		s.t.Errorf("exit code %d, want 3; told:\n%s", code, out)
	}
}
