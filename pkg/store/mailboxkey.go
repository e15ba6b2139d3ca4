package store

import (
	"crypto/sha256"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

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
