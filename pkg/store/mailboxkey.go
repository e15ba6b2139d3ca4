package store

import (
	"crypto/sha256"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// hostKey names the mail system behind an endpoint: the same for its ports 993 and
// 143. At a loopback address each port is a system of its own, such as the far ends
// of tunnels.
func hostKey(host string, port int) string {
	h := strings.ToLower(strings.TrimSuffix(host, "."))
	addr, err := netip.ParseAddr(strings.Trim(h, "[]"))
	if h == "localhost" || err == nil && addr.Unmap().IsLoopback() {
		return net.JoinHostPort(strings.Trim(h, "[]"), strconv.Itoa(port))
	}
	return h
}

// loginKey names the target mailbox at its host. Logins that differ only in case
// are taken for one mailbox, as nearly all servers do: where they are two, they are
// merely not written at the same time. A target root counts, because with it many
// mailboxes share the administrator's login.
func loginKey(u *migration.User) string {
	login, root := u.Mailbox(migration.Target)
	login = strings.ToLower(login)
	if root != "" {
		login += "\n" + root
	}
	return login
}

// turnedLoginKey names the source mailbox at its host likewise.
func turnedLoginKey(u *migration.User) string {
	return loginKey(&migration.User{EmailAddress: u.EmailAddress, TargetUserName: u.UserName, TargetRoot: u.UserRoot})
}

// mailboxKey is the key of a mailbox's lease. The row outlives the user, so it does
// not tell whose mailbox it was.
func mailboxKey(host, login string) []byte {
	sum := sha256.Sum256([]byte(host + "\n" + login))
	return sum[:]
}

// addressKey is how an address is looked up.
func addressKey(email string) string { return strings.ToLower(email) }
