package report

import (
	_ "embed"
	"html/template"
	"io"
	"iter"
	"strconv"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// The page is one file that needs nothing else: no script, no font, no image. It
// forbids itself to load any, and html/template escapes what strangers named.

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"show": show, "number": isNumber}).Parse(pageText))

// maxShown bounds the differences that the page lists of one mailbox; the JSON has all.
const maxShown = 100

// size is a number of bytes.
type size int64

// line is one row of the page: a value a column, and below them what is to be said.
type line struct {
	Cells []any // string, int64, size or *time.Time
	Notes []string
	Bad   bool // somebody has to look at it
}

// pageOf is what stands around the lines of a report.
type pageOf struct {
	Title, About string
	Columns      []string
}

var pages = map[Kind]pageOf{
	Statistics: {
		"Statistics", "Every mailbox with its messages since the beginning.",
		[]string{"Mailbox", "Status", "Seen", "Copied", "Adopted", "Unchanged", "Skipped", "Failed", "Copied bytes", "Folders done", "Last synced"},
	},
	Errors: {
		"Errors", "Mailboxes that need attention, with what to do. The same as CSV can be mended and added to the batch again.",
		[]string{"Mailbox", "Source login", "Status", "Code"},
	},
	Items: {
		"Items", "Messages that were skipped or have failed, and folders likewise, with what to do.",
		[]string{"Mailbox", "Folder", "UID", "Message-ID", "Date", "Bytes", "Code"},
	},
	Receipts: {
		"Receipts", "What the latest verify of each mailbox found: source against target, message by message.",
		[]string{"Mailbox", "Verified", "Same", "Folders", "Messages", "Bytes", "Missing", "Skipped", "Altered", "Wrong date", "Wrong flags", "Folders missing", "Extra", "Removed at target", "Moved at target", "Normalised"},
	},
}

func (r StatisticsRow) line() line {
	return line{
		Cells: []any{
			r.EmailAddress, string(r.Status), r.Seen, r.Copied, r.Adopted, r.Unchanged, r.Skipped, r.Failed,
			size(r.BytesCopied), strconv.FormatInt(r.FoldersDone, 10) + " of " + strconv.FormatInt(r.FoldersTotal, 10), r.LastSyncedAt,
		},
		Notes: notes(r.Code, r.Reason, r.Remedy), Bad: r.Code != "" || r.Failed > 0,
	}
}

func (r ErrorRow) line() line {
	return line{
		Cells: []any{r.EmailAddress, r.UserName, string(r.Status), string(r.Code)},
		Notes: notes("", r.Reason, r.Remedy), Bad: true,
	}
}

func (r ItemRow) line() line {
	return line{
		Cells: []any{r.EmailAddress, r.Folder, strconv.FormatUint(uint64(r.UID), 10), r.MessageID, r.Date, size(r.Size), string(r.Code)},
		Notes: notes("", r.Reason, r.Remedy), Bad: true,
	}
}

func (r ReceiptRow) line() line {
	same := "yes"
	if !r.Same {
		same = "no"
	}
	out := line{
		Cells: []any{
			r.EmailAddress, optional(r.At), same, r.Folders, r.Messages, size(r.Bytes), r.Missing, r.Skipped, r.Altered, r.WrongDate, r.WrongFlags,
			r.FoldersMissing, r.Extra, r.RemovedAtTarget, r.MovedAtTarget, r.Normalised,
		},
		Notes: []string{"Digest " + r.Digest}, Bad: !r.Same,
	}
	for i, d := range r.Differences {
		if i == maxShown {
			out.Notes = append(out.Notes, "and "+strconv.Itoa(len(r.Differences)-i)+" more: see the report as JSON")
			break
		}
		out.Notes = append(out.Notes, sentence(d))
	}
	return out
}

func notes(code migration.Code, reason, remedy string) (out []string) {
	if code != "" && reason != "" {
		reason = string(code) + ": " + reason
	}
	for _, text := range []string{reason, remedy} {
		if text != "" {
			out = append(out, text)
		}
	}
	return out
}

// sentence says what a difference is.
func sentence(d migration.Difference) string {
	out := d.Kind + ": " + d.Folder
	if d.SourceUID != 0 {
		out += " UID " + strconv.FormatUint(uint64(d.SourceUID), 10)
	}
	if d.MessageID != "" {
		out += " " + d.MessageID
	}
	if d.Detail != "" {
		out += ", " + d.Detail
	}
	return out
}

// writePage writes a page of rows with their sums below.
func writePage[R Row](w io.Writer, h Head, rows iter.Seq2[R, error]) error {
	page := pages[h.Report]
	head := struct {
		Head
		pageOf
	}{h, page}
	if err := pageTemplate.ExecuteTemplate(w, "head", head); err != nil {
		return err
	}
	sums, count := make([]any, len(page.Columns)), 0
	for row, err := range rows {
		if err != nil {
			return err
		}
		l := row.line()
		count++
		for i, c := range l.Cells {
			sums[i] = add(sums[i], c)
		}
		if err := pageTemplate.ExecuteTemplate(w, "row", l); err != nil {
			return err
		}
	}
	foot := struct {
		Sums    []any
		Count   int
		Columns int
	}{sums, count, len(page.Columns)}
	return pageTemplate.ExecuteTemplate(w, "foot", foot)
}

// add sums what can be summed.
func add(sum, cell any) any {
	switch n := cell.(type) {
	case int64:
		before, _ := sum.(int64)
		return before + n
	case size:
		before, _ := sum.(size)
		return before + n
	}
	return nil
}

func isNumber(cell any) bool {
	switch cell.(type) {
	case int64, size:
		return true
	}
	return false
}

// show writes a value for people.
func show(cell any) string {
	switch v := cell.(type) {
	case string:
		return v
	case int64:
		return grouped(v)
	case int:
		return grouped(int64(v))
	case size:
		return bytesText(int64(v))
	case time.Time:
		return v.UTC().Format("2006-01-02 15:04 UTC")
	case *time.Time:
		if v != nil {
			return show(*v)
		}
	}
	return ""
}

// grouped writes thousands apart, by a space that does not break.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u00a0" + s[i:]
	}
	return s
}

func bytesText(n int64) string {
	units := []string{"kB", "MB", "GB", "TB", "PB"}
	if n < 1000 {
		return grouped(n) + "\u00a0B"
	}
	value, unit := float64(n)/1000, 0
	for value >= 999.95 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + "\u00a0" + units[unit]
}
