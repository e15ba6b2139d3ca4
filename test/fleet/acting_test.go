package fleet_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/test/servers"
)

// TestAdministratorsOfOtherServers carries the same mail on from server to server by their
// administrators alone: Dovecot's master user, Cyrus's authorization identity on both
// sides, Courier's administrator to whom each user is a folder (TargetRoot, UserRoot).
func TestAdministratorsOfOtherServers(t *testing.T) {
	t.Parallel()
	m := newMail(t, 2)
	m.corpus("--messages", "12")
	cyrus, courier := servers.Cyrus(t, servers.CyrusConfig{Users: m.users}), servers.Courier(t, servers.CourierConfig{})
	cyrus.AddUsers(t, m.users...)
	courier.AddUsers(t, m.users...)
	s := newService(t, m, time.Hour)
	s.start("worker")

	password := file(t, servers.MasterPassword)
	admin := func(template string) []string {
		return []string{"--login-template", template, "--admin-user", servers.MasterUser, "--admin-password-file", password}
	}
	acting := append(admin("sasl-plain"), "--test-mailbox", m.users[0])
	s.endpointOf("dovecot", m.oldPort, append(admin("{user}*{admin}"), "--no-test")...) // it opens any name
	s.endpointOf("cyrus", cyrus.Port, acting...)
	// One mailbox at a time: the administrator's subscriptions are one file, which Courier
	// rewrites without a lock.
	s.endpointOf("courier", courier.Port, "--max-concurrent-migrations", "1", "--max-concurrent-incremental-syncs", "1")
	s.endpointOf("new", m.newPort)
	if out, code := s.try(append([]string{"endpoint", "create", "trap", "--host", "127.0.0.1", "--port", fmt.Sprint(courier.Port), "--security", "none"},
		acting...)...); code == 0 || !strings.Contains(out, "a made-up user") {
		t.Errorf("Courier looks at no authorization identity, and is believed: %d %s", code, out)
	}

	// Cyrus lets its administrator act for users who do not exist: they have no folder.
	if out, code := s.try("endpoint", "test", "cyrus", "--user", "nobody"); code == 0 || !strings.Contains(out, "has no mailbox") {
		t.Errorf("a user who does not exist is found: %d %s", code, out)
	}

	carry := func(from, to, header, row string) {
		t.Helper()
		text := "EmailAddress,UserName" + header + "\n"
		for _, u := range m.users {
			text += fmt.Sprintf("%s-%s@example.org,", u, to) + strings.ReplaceAll(row, "USER", u) + "\n"
		}
		s.cli("batch", "create", to, "--source", from, "--target", to, "--autostart", "--csv", file(t, text))
		s.await("all is at "+to, func() bool { return s.statuses(to)["synced"] == 2 })
	}
	same := func(to *servers.IMAP, more ...string) {
		t.Helper()
		for _, u := range m.users {
			args := []string{"--src", addr(m.old.Port), "--dst", addr(to.Port), "--user", u, "--show", "5", "--prove"}
			for _, a := range more {
				args = append(args, strings.ReplaceAll(a, "USER", u))
			}
			out, err := script("verify.py", args...)
			if err != nil || !strings.HasPrefix(out, "SAME") {
				t.Errorf("%s differs: %v: %s", u, err, out)
			}
		}
	}
	carry("dovecot", "cyrus", ",TargetUserName", "USER,USER")
	same(cyrus)
	carry("cyrus", "courier", ",TargetUserName,TargetPassword,TargetRoot",
		fmt.Sprintf("USER,%s,%s,/#shared/USER", servers.MasterUser, servers.MasterPassword))
	// Subscriptions there are the administrator's, so it is his view that is compared.
	same(courier, "--dst-user", servers.MasterUser, "--dst-password", servers.MasterPassword, "--dst-prefix", "#shared.USER.")
	carry("courier", "new", ",Password,UserRoot,TargetUserName,TargetPassword",
		fmt.Sprintf("%s,%s,/#shared/USER,USER,%s", servers.MasterUser, servers.MasterPassword, m.newPassword))
	same(m.new)
}
