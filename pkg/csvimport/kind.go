package csvimport

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Kind is what sort of batch a file is of: it decides the columns and the limits.
type Kind string

// The kinds.
const (
	IMAP        Kind = "imap"        // any two IMAP servers
	Staged      Kind = "staged"      // from an Exchange server, the target provisioned from the file
	CrossTenant Kind = "crossTenant" // between two tenants of one provider
)

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{IMAP, Staged, CrossTenant} }

// Limits of a file; at the limit it passes.
type Limits struct {
	Rows  int   // data rows
	Bytes int64 // of the file as it came
	// Advised is how many rows are well together; more are taken with a warning. 0: any.
	Advised int
}

// Limits of the kind's files.
func (k Kind) Limits() Limits {
	l := Limits{Rows: 50_000, Bytes: 10_485_760}
	switch k {
	case Staged:
		l.Rows = 2_000
	case CrossTenant:
		l.Advised = 2_000
	}
	return l
}

// Warning says what is well to know of a file of so many rows that passes, or "".
func (k Kind) Warning(rows int) string {
	if advised := k.Limits().Advised; advised > 0 && rows > advised {
		return fmt.Sprintf("%s mailboxes in one batch: at most %s are advised, several batches are easier to follow", thousands(int64(rows)), thousands(int64(advised)))
	}
	return ""
}

// column is what the import knows of one.
type column struct {
	name     string
	required bool
	secret   bool // cells are taken as they are, also with an apostrophe in front
	check    func(cell string) (reason string)
	put      func(*Row, string)
	// aliases are what people call it, in plain form (lower case, letters alone).
	aliases []string
}

const emailAddress = "EmailAddress"

var (
	addressAliases  = []string{"email", "mail", "address", "mailaddress", "primarysmtpaddress", "smtpaddress"}
	passwordAliases = []string{"pass", "pwd", "passwd", "secret"}
)

func putAddress(r *Row, s string) { r.EmailAddress = s }

func putTargetPassword(r *Row, s string) {
	r.TargetPassword, r.HasTargetPassword = migration.NewSecret(s), s != ""
}

// columns of each kind. A staged file's Password is the target's: its source is opened by
// the administrator.
var columns = map[Kind][]column{
	IMAP: {
		{emailAddress, true, false, addressReason, putAddress, addressAliases},
		{"UserName", true, false, loginReason, func(r *Row, s string) { r.UserName = s }, []string{"user", "login", "loginname", "userid", "account"}},
		{"Password", true, true, secretReason, func(r *Row, s string) { r.Password, r.HasPassword = migration.NewSecret(s), s != "" }, passwordAliases},
		{"UserRoot", false, false, textReason, func(r *Row, s string) { r.UserRoot = s }, nil},
		{"TargetUserName", false, false, NameReason, func(r *Row, s string) { r.TargetUserName = s }, []string{"targetuser", "targetlogin"}},
		{"TargetPassword", false, true, secretReason, putTargetPassword, []string{"targetpass", "targetpwd"}},
		{"TargetRoot", false, false, textReason, func(r *Row, s string) { r.TargetRoot = s }, nil},
	},
	Staged: {
		{emailAddress, true, false, addressReason, putAddress, addressAliases},
		{"Password", false, true, secretReason, putTargetPassword, passwordAliases},
		{"ForceChangePassword", false, false, truthReason, func(r *Row, s string) { r.ForceChangePassword = strings.EqualFold(s, "True") }, []string{"forcepasswordchange", "changepassword"}},
	},
	CrossTenant: {
		{emailAddress, true, false, addressReason, putAddress, addressAliases},
	},
}

// find returns the kind's column of that name, or nil.
func (k Kind) find(name string) *column {
	list := columns[k]
	if i := slices.IndexFunc(list, func(c column) bool { return c.name == name }); i >= 0 {
		return &list[i]
	}
	return nil
}

// elsewhere returns another kind whose files have a column of that name, or "".
func (k Kind) elsewhere(name string) Kind {
	for _, other := range Kinds() {
		if other != k && other.find(name) != nil {
			return other
		}
	}
	return ""
}

// headerHint says what a file of the kind begins with.
func (k Kind) headerHint() string {
	var names []string
	for _, c := range columns[k] {
		if c.required {
			names = append(names, c.name)
		}
	}
	return "the first line must name the columns: " + strings.Join(names, ",")
}

// truthReason takes what spreadsheets make of True and False.
func truthReason(s string) string {
	if s == "" || strings.EqualFold(s, "True") || strings.EqualFold(s, "False") {
		return ""
	}
	return "neither True nor False"
}
