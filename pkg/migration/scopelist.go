package migration

import "strings"

// MaxInScope is how many mailboxes an endpoint's scope can name.
const MaxInScope = 10_000

// Mailbox is the user's mailbox at a side: the login that opens it, and the root folder
// that it lies below, "" where it is the whole of what the login shows.
func (u *User) Mailbox(which Side) (login, root string) {
	login, root = u.UserName, u.UserRoot
	if which == Target {
		login, root = u.TargetUserName, u.TargetRoot
	}
	if login == "" {
		login = u.EmailAddress
	}
	return login, root
}

// ScopeName is how an endpoint's scope names a mailbox: its login, and behind a blank
// the root folder where it has one.
func ScopeName(login, root string) string {
	if root = strings.Trim(root, "/"); root == "" {
		return login
	}
	return login + " /" + root
}

// ScopeKey is the form in which a scope's names are compared: logins without regard to
// case, as for duplicates; roots are folders, and keep theirs.
func ScopeKey(name string) string {
	login, root, _ := strings.Cut(name, " /")
	return strings.ToLower(login) + "\n" + strings.Trim(root, "/")
}
