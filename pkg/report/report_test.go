package report_test

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/report"
)

var at = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func seq[R any](rows ...R) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func render[R report.Row](t *testing.T, f report.Format, k report.Kind, rows iter.Seq2[R, error]) string {
	t.Helper()
	var out strings.Builder
	if err := report.Write(&out, f, report.Head{Report: k, Batch: "b", GeneratedAt: at}, rows); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestFormulasAreTextInACSV(t *testing.T) {
	for _, evil := range []string{`=HYPERLINK("http://x")`, "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\n=1+1", "＝1+1", "＋1", "－1", "＠SUM(A1)"} {
		u := migration.User{EmailAddress: evil, UserName: evil, UserRoot: evil, TargetUserName: evil}
		u.Status, u.Code, u.Reason = migration.UserFailed, migration.AuthFailed, evil
		row, _ := report.ErrorOf(u)
		for _, text := range []string{
			render(t, report.CSV, report.Statistics, seq(report.StatisticsOf(u))),
			render(t, report.CSV, report.Errors, seq(row)),
			render(t, report.CSV, report.Items, seq(report.ItemOf(migration.UserItem{EmailAddress: evil, Item: migration.Item{Folder: evil, MessageID: evil, Reason: evil}}))),
		} {
			lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			for _, cell := range lines[1] {
				if cell != "" && strings.ContainsAny(string([]rune(cell)[:1]), "=+-@\t\r\n＝＋－＠") {
					t.Errorf("cell %q of %q begins a formula", cell, evil)
				}
			}
		}
	}
}

func TestErrorReportHasTheImportsColumns(t *testing.T) {
	u := migration.User{EmailAddress: "a@example.com", UserName: "a", SourceSecret: []byte("sealed")}
	u.Status, u.Code, u.Reason = migration.UserNeedsCredentials, migration.AuthFailed, "no"
	row, belongs := report.ErrorOf(u)
	if !belongs {
		t.Fatal("a user with a code is not in the error report")
	}
	got := render(t, report.CSV, report.Errors, seq(row))
	want := "EmailAddress,UserName,Password,UserRoot,TargetUserName,TargetPassword,TargetRoot,Code,Reason,Remedy\n" +
		"a@example.com,a,,,,,,AuthFailed,no,\"" + migration.AuthFailed.Remedy() + "\"\n" // it holds a comma
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, belongs := report.ErrorOf(migration.User{EmailAddress: "b@example.com"}); belongs {
		t.Error("a user without a code is in the error report")
	}
}

// TestAPageIsWholeByItself: strangers' names are text in it, it asks for nothing from
// anywhere, and it says what the other forms say.
func TestAPageIsWholeByItself(t *testing.T) {
	evil := `<script>alert(1)</script><img src=//x.example/a onerror="b">'&amp;{{.}}`
	u := migration.User{EmailAddress: "ann@example.com", UserName: evil}
	u.Status, u.Code, u.Reason = migration.UserFailed, migration.AuthFailed, evil
	u.Totals = migration.Totals{Copied: 1234567, Bytes: 1_500_000_000}
	row, _ := report.ErrorOf(u)
	var many []migration.Difference
	for range 150 {
		many = append(many, migration.Difference{Kind: "missing", Folder: evil, SourceUID: 7, MessageID: "<m@" + evil + ">", Detail: evil})
	}
	receipt := report.ReceiptOf(migration.UserReceipt{EmailAddress: evil, Receipt: migration.Receipt{At: at, Missing: 150, Digest: "d1935", Differences: many}})
	for kind, page := range map[string]struct {
		text string
		has  []string
	}{
		"statistics": {
			render(t, report.HTML, report.Statistics, seq(report.StatisticsOf(u), report.StatisticsOf(u))),
			[]string{"ann@example.com", "Failed", "1\u00a0234\u00a0567", "2\u00a0469\u00a0134", "1.5\u00a0GB", "3.0\u00a0GB", "2 in all", "Not carried"},
		},
		"errors": {render(t, report.HTML, report.Errors, seq(row)), []string{"AuthFailed", "Give the right user name", "1 in all"}},
		"items": {
			render(t, report.HTML, report.Items, seq(report.ItemOf(migration.UserItem{EmailAddress: "ann@example.com", Item: migration.Item{Folder: evil, UID: 7, MessageID: evil, Size: 3000, Code: migration.MessageTooLarge, Reason: evil}}))),
			[]string{"3.0\u00a0kB", "MessageTooLarge", "raise the target&#39;s limit", "1 in all"},
		},
		"receipts": {render(t, report.HTML, report.Receipts, seq(receipt)), []string{"2026-05-04 03:02 UTC", "d1935", "missing: ", "UID 7", "and 50 more"}},
	} {
		for _, want := range append(page.has, "<!DOCTYPE html>", "@media print", "</html>", "&lt;script&gt;") {
			if !strings.Contains(page.text, want) {
				t.Errorf("%s: it does not hold %q:\n%.3000s", kind, want, page.text)
			}
		}
		for _, never := range []string{"<script", "<img", `onerror="`, "<link", "@import", "url(", "http:"} {
			if strings.Contains(page.text, never) {
				t.Errorf("%s: it holds %q", kind, never)
			}
		}
		if unclosed := strings.Count(page.text, "<tr") - strings.Count(page.text, "</tr>"); unclosed != 0 {
			t.Errorf("%s: %d rows are not closed", kind, unclosed)
		}
	}
}

func TestJSONIsOneObject(t *testing.T) {
	var got struct {
		Report, Batch string
		Items         []map[string]any
	}
	for n := range 3 {
		rows := make([]report.ReceiptRow, n)
		text := render(t, report.JSON, report.Receipts, seq(rows...))
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%d rows: %v in %s", n, err, text)
		}
		if got.Report != "receipts" || got.Batch != "b" || len(got.Items) != n {
			t.Errorf("%d rows: got %+v", n, got)
		}
	}
}

func TestAFailingSequenceFailsTheReport(t *testing.T) {
	broken := errors.New("store gone")
	err := report.Write(new(strings.Builder), report.CSV, report.Head{Report: report.Errors}, func(yield func(report.ErrorRow, error) bool) {
		yield(report.ErrorRow{}, broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

func TestKeptReportsAreReadAgain(t *testing.T) {
	receipt := migration.UserReceipt{EmailAddress: "a@example.com", Receipt: migration.Receipt{At: at, Messages: 3, Digest: "00"}}
	item := report.ItemOf(migration.UserItem{EmailAddress: "a@example.com", Item: migration.Item{Folder: "=cmd", UID: 3, Date: at, Code: migration.MessageRejected, Reason: "no"}})
	body, err := report.Kept{Batch: "b", GeneratedAt: at, Items: []report.ItemRow{item}, Receipts: []report.ReceiptRow{report.ReceiptOf(receipt)}}.Pack()
	if err != nil {
		t.Fatal(err)
	}
	k, err := report.Unpack(body)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []report.Format{report.CSV, report.JSON, report.HTML} {
		var out strings.Builder
		if err := k.Write(&out, f, report.Receipts); err != nil {
			t.Fatal(err)
		}
		want := render(t, f, report.Receipts, seq(report.ReceiptOf(receipt)))
		if out.String() != want {
			t.Errorf("got\n%s\nwant\n%s", out.String(), want)
		}
		out.Reset()
		if err := k.Write(&out, f, report.Items); err != nil {
			t.Fatal(err)
		}
		if want := render(t, f, report.Items, seq(item)); out.String() != want {
			t.Errorf("got\n%s\nwant\n%s", out.String(), want)
		}
	}
	if _, err := report.Unpack([]byte("not gzip")); err == nil {
		t.Error("rubbish was taken for a kept report")
	}
}
