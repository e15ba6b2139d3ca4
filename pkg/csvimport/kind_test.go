package csvimport_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/csvimport"
)

// addressesOf is a file of so many addresses and nothing else.
func addressesOf(n int) string {
	var b strings.Builder
	b.WriteString("EmailAddress\n")
	for i := range n {
		fmt.Fprintf(&b, "user%d@example.com\n", i)
	}
	return b.String()
}

func TestStagedRows(t *testing.T) {
	file := "ForceChangePassword,EmailAddress,Password\n" +
		"True,ann@example.com,'=pw\nFALSE,bob@example.com,\n,cid@example.com,x\n"
	rows, err := collect(strings.NewReader(file), csvimport.Options{Kind: csvimport.Staged})
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, want := range []struct {
		address, password string
		has, force        bool
	}{{"ann@example.com", "'=pw", true, true}, {"bob@example.com", "", false, false}, {"cid@example.com", "x", true, false}} {
		r := rows[i]
		// The password is the target's.
		if r.EmailAddress != want.address || r.TargetPassword.Reveal() != want.password || r.HasTargetPassword != want.has || r.ForceChangePassword != want.force || r.HasPassword {
			t.Errorf("row %d: %+v, password %q", i+1, r, r.TargetPassword.Reveal())
		}
	}
}

// TestKinds: each kind has its own columns, and says of the others' whose they are.
func TestKinds(t *testing.T) {
	const staged, tenant = csvimport.Staged, csvimport.CrossTenant
	for name, tc := range map[string]struct {
		kind       csvimport.Kind
		any        bool // unknown columns are allowed
		file, want string
	}{
		"staged":                       {staged, false, "EmailAddress,Password,ForceChangePassword\nann@example.com,pw,True\n", ""},
		"staged, the address alone":    {staged, false, "EmailAddress\nann@example.com\n", ""},
		"staged, no address":           {staged, false, "Password\npw\n", "line 1: EmailAddress: the column is missing"},
		"staged, neither":              {staged, false, "EmailAddress,ForceChangePassword\nann@example.com,yes\nann@example.com,True\nbob@example.com,True \n", "line 2: ForceChangePassword: neither True nor False\nline 3: EmailAddress: the same user as in line 2\nline 4: ForceChangePassword: neither True nor False"},
		"staged, near misses":          {staged, false, "Email,Force Change Password\nann,maybe\n", "line 1: Email: unknown column: did you mean EmailAddress?\nline 1: Force Change Password: unknown column: did you mean ForceChangePassword?\nline 2: EmailAddress: not an address: there is no @\nline 2: ForceChangePassword: neither True nor False"},
		"staged, an imap file":         {staged, false, "EmailAddress,UserName,Password\nann@example.com,ann,pw\n", "line 1: UserName: no column of a batch of type staged, but of type imap: remove it, or give the batch that type"},
		"staged, no header":            {staged, false, "ann@example.com,pw\n", "line 1: the first line must name the columns: EmailAddress; it looks like a row"},
		"cross-tenant":                 {tenant, false, "EmailAddress\nann@example.com\nbob@example.com\n", ""},
		"cross-tenant, more":           {tenant, false, "EmailAddress,Password\nann@example.com,pw\n", "line 1: Password: no column of a batch of type crossTenant, but of type imap: remove it, or give the batch that type"},
		"cross-tenant, more, allowed":  {tenant, true, "EmailAddress,Password,Room\nann@example.com,pw,1\n", ""},
		"cross-tenant, near miss":      {tenant, false, "emailaddress\nann@example.com\n", "line 1: emailaddress: unknown column: did you mean EmailAddress?"},
		"cross-tenant, a bad row":      {tenant, false, "EmailAddress\nann\n\n,x\n", "line 2: EmailAddress: not an address: there is no @\nline 4: 2 cells, but the header has 1 columns"},
		"imap, a staged file":          {"", false, "EmailAddress,Password,ForceChangePassword\nann@example.com,pw,True\n", "line 1: ForceChangePassword: no column of a batch of type imap, but of type staged: remove it, or give the batch that type\nline 1: UserName: the column is missing"},
		"imap, a staged file, allowed": {csvimport.IMAP, true, "EmailAddress,UserName,Password,ForceChangePassword\nann@example.com,ann,pw,True\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := csvimport.Options{Kind: tc.kind, AllowUnknownColumns: tc.any}
			if _, got := check(t, tc.file, o); got != tc.want {
				t.Errorf("file:\n%s\ngot:\n%s\nwant:\n%s", tc.file, got, tc.want)
			}
		})
	}
}

func TestLimitsOfEachKind(t *testing.T) {
	staged, tenant := csvimport.Options{Kind: csvimport.Staged}, csvimport.Options{Kind: csvimport.CrossTenant}
	if rows, got := check(t, addressesOf(2_000), staged); rows != 2_000 || got != "" {
		t.Errorf("staged, at the limit: %d rows, %s", rows, got)
	}
	if _, got := check(t, addressesOf(2_001), staged); got != "line 2002: the file has 2,001 rows, at most 2,000 are taken: split it" {
		t.Errorf("staged, one over: %s", got)
	}
	rows, got := check(t, addressesOf(2_001), tenant)
	if rows != 2_001 || got != "" {
		t.Errorf("cross-tenant, one over what is advised: %d rows, %s", rows, got)
	}
	for n, want := range map[int]string{2_000: "", 2_001: "2,001 mailboxes in one batch: at most 2,000 are advised, several batches are easier to follow"} {
		if got := csvimport.CrossTenant.Warning(n); got != want {
			t.Errorf("warning for %d: %q, want %q", n, got, want)
		}
	}
	if got := csvimport.IMAP.Warning(50_000) + csvimport.Staged.Warning(2_000); got != "" {
		t.Errorf("a warning for nothing: %s", got)
	}
}
