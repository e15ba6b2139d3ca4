package csvimport_test

import (
	"iter"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/csvimport"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/report"
)

// TestAnErrorReportCanBeSubmittedAgain: what the report writes safe for spreadsheets
// is read as what it was.
func TestAnErrorReportCanBeSubmittedAgain(t *testing.T) {
	var users []migration.User
	for _, name := range []string{"+ann", "-bob", "=cid", "'dan", "eve"} {
		u := migration.User{EmailAddress: name + "@example.com", UserName: name, UserRoot: "@" + name, TargetUserName: "@" + name, TargetRoot: "-" + name}
		u.Status, u.Code, u.Reason = migration.UserFailed, migration.AuthFailed, "=1+1"
		users = append(users, u)
		u.EmailAddress, u.UserName = "wide-"+u.EmailAddress, "＝"+name // no address begins so, a login may
		users = append(users, u)
	}
	var rows iter.Seq2[report.ErrorRow, error] = func(yield func(report.ErrorRow, error) bool) {
		for _, u := range users {
			if row, _ := report.ErrorOf(u); !yield(row, nil) {
				return
			}
		}
	}
	var file strings.Builder
	if err := report.Write(&file, report.CSV, report.Head{Report: report.Errors}, rows); err != nil {
		t.Fatal(err)
	}
	got, err := collect(strings.NewReader(file.String()), csvimport.Options{})
	if err != nil || len(got) != len(users) {
		t.Fatalf("%d rows, %v, of\n%s", len(got), err, file.String())
	}
	for i, u := range users {
		want := csvimport.Row{
			Line: i + 2, EmailAddress: u.EmailAddress, UserName: u.UserName, UserRoot: u.UserRoot,
			TargetUserName: u.TargetUserName, TargetRoot: u.TargetRoot,
		}
		if got[i] != want {
			t.Errorf("got %+v, want %+v", got[i], want)
		}
	}
}

func TestAPasswordKeepsItsApostrophe(t *testing.T) {
	got, err := collect(strings.NewReader(head+"ann@example.com,'=ann,'=secret\n"), csvimport.Options{})
	if err != nil || len(got) != 1 || got[0].UserName != "=ann" || got[0].Password.Reveal() != "'=secret" {
		t.Errorf("got %+v, %v", got, err)
	}
}
