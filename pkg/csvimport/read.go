package csvimport

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Row is one user of the file: what its cells say, with "" for a blank one.
type Row struct {
	Line                       int    // at which it begins
	EmailAddress               string // of the target mailbox; in a staged file of the source's
	UserName                   string
	UserRoot                   string
	TargetUserName, TargetRoot string
	Password, TargetPassword   migration.Secret
	HasPassword                bool // the cell is not blank
	HasTargetPassword          bool
	ForceChangePassword        bool // of a staged file
}

// Options are what the operator said about the file.
type Options struct {
	Kind                Kind // "" for IMAP
	AllowUnknownColumns bool
	// PasswordOptional is set where the source's administrator opens the mailboxes: the
	// column Password may be absent.
	PasswordOptional bool
	// Encoding is the name of the file's encoding (a WHATWG or IANA name, such as
	// "gb18030"); "" for UTF-8, or UTF-16 with a byte order mark.
	Encoding string
	Limit    Limits // a zero field takes that of the kind
}

// Read yields the users of a file while it is read: valid rows up to the first problem,
// and at the end the one error: *Problems, or what r said.
func Read(r io.Reader, o Options) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		s := newScanner(r, o)
		stopped := false
		_, err := s.run(func(row Row) ([]Problem, bool) {
			if s.problems.none() && s.text.misread() == nil && !yield(row, nil) {
				stopped = true
			}
			return nil, !stopped
		})
		if err != nil && !stopped {
			yield(Row{}, err)
		}
	}
}

// Check reads the whole file and returns the number of its users, or *Problems with
// all that is wrong, or what r said. each may be nil; it is called for every row
// that could be split into its cells, also one with problems of its own, and answers
// what else is wrong with it; the line need not be filled in.
func Check(r io.Reader, o Options, each func(Row) []Problem) (rows int, err error) {
	return newScanner(r, o).run(func(row Row) ([]Problem, bool) {
		if each == nil {
			return nil, true
		}
		return each(row), true
	})
}

// scanner is one pass over one file.
type scanner struct {
	limit    Limits
	bytes    io.Reader
	text     *text
	header   header
	seen     map[string]int // lower-case address -> line
	problems Problems
	options  Options
}

func newScanner(r io.Reader, o Options) *scanner {
	if o.Kind == "" {
		o.Kind = IMAP
	}
	s := &scanner{limit: o.Limit, options: o, seen: map[string]int{}, problems: Problems{Code: migration.CsvInvalid}}
	if s.limit.Rows == 0 {
		s.limit.Rows = o.Kind.Limits().Rows
	}
	if s.limit.Bytes == 0 {
		s.limit.Bytes = o.Kind.Limits().Bytes
	}
	s.bytes = &limitReader{r: r, left: s.limit.Bytes}
	return s
}

// run reads to the end. each gets the rows and says whether to go on.
func (s *scanner) run(each func(Row) (problems []Problem, more bool)) (rows int, err error) {
	if s.text, err = decode(s.bytes, s.options.Encoding); err != nil {
		return 0, s.finish(0, err)
	}
	in, goOn := s.split(bufio.NewReader(s.text))
	if !goOn {
		return 0, &s.problems
	}
	if goOn, err := s.readHeader(in); !goOn {
		return 0, s.finish(0, err)
	}
	overLine := 0
	for {
		record, err := in.Read()
		line, goOn := s.place(in, err)
		if !goOn {
			if over := rows - s.limit.Rows; over > 0 {
				s.problems.add(overLine, "", fmt.Sprintf("the file has %s rows, at most %s are taken: split it",
					thousands(int64(rows)), thousands(int64(s.limit.Rows))))
			}
			return rows, s.finish(rows, err)
		}
		if err == nil && blank(record) {
			continue // spreadsheets save such rows below the last one
		}
		rows++
		switch {
		case rows > s.limit.Rows:
			if overLine == 0 {
				overLine = line
			}
		case err == nil:
			if !s.row(line, record, each) {
				return rows, nil
			}
		}
	}
}

// split returns the file's records. It looks at the first line before: another separator
// is a problem, and splits the file all the same, so that the others are told with it.
func (s *scanner) split(r *bufio.Reader) (in *csv.Reader, goOn bool) {
	head, _ := r.Peek(r.Size()) // an error comes back with the next read
	line, _, _ := strings.Cut(string(head), "\n")
	comma, reason := separator(line)
	if reason != "" {
		s.problems.add(1, "", reason)
	}
	in = csv.NewReader(r)
	in.FieldsPerRecord = -1 // counted here, with a reason
	in.ReuseRecord = true
	if comma == 0 {
		return nil, false
	}
	in.Comma = comma
	return in, true
}

// place returns the line of the record just read, and whether the file goes on. A
// record that cannot be split is noted.
func (s *scanner) place(in *csv.Reader, err error) (line int, goOn bool) {
	var parse *csv.ParseError
	switch {
	case err == nil:
		line, _ = in.FieldPos(0)
		return line, true
	case errors.As(err, &parse):
		s.problems.add(parse.StartLine, "", quoteReason(parse))
		return parse.StartLine, true
	default:
		return 0, false
	}
}

func quoteReason(err *csv.ParseError) string {
	if errors.Is(err, csv.ErrBareQuote) {
		return `a quote inside a cell that is not quoted: put the cell in quotes and write the quote twice ("pass""word")`
	}
	return "a quoted cell is not closed, or goes on after its closing quote"
}

func (s *scanner) readHeader(in *csv.Reader) (goOn bool, err error) {
	record, err := in.Read()
	for err == nil && blank(record) {
		record, err = in.Read()
	}
	line, _ := s.place(in, err)
	if err != nil {
		if errors.As(err, new(*csv.ParseError)) {
			err = nil // noted by place
		}
		return false, err
	}
	return s.header.read(line, record, s.options, &s.problems), nil
}

// row checks one record and hands it on.
func (s *scanner) row(line int, record []string, each func(Row) ([]Problem, bool)) (more bool) {
	if len(record) != s.header.width {
		s.problems.add(line, "", fmt.Sprintf("%d cells, but the header has %d columns", len(record), s.header.width))
		return true
	}
	row := s.cells(line, record)
	if !s.header.complete {
		return true
	}
	problems, more := each(row)
	for _, p := range problems {
		s.problems.add(line, p.Column, p.Reason)
	}
	return more
}

// finish makes the error of the whole run: err is how reading ended.
func (s *scanner) finish(rows int, err error) error {
	var encoding *encodingError
	if bad := s.text.misread(); bad != nil {
		s.problems.Code = migration.CsvEncoding
		s.problems.insert(bad.line, bad.reason)
	}
	switch {
	case err == nil, errors.Is(err, io.EOF):
	case errors.As(err, &encoding):
		s.problems.Code = migration.CsvEncoding
		s.problems.insert(encoding.line, encoding.reason)
	case errors.Is(err, errTooLarge):
		s.problems.add(0, "", fmt.Sprintf("the file has more than %s bytes: split it", thousands(s.limit.Bytes)))
	default:
		return fmt.Errorf("read the csv file: %w", err)
	}
	if s.problems.none() && rows == 0 {
		reason := "the file has a header but no rows"
		if s.header.width == 0 {
			reason = "the file is empty"
		}
		s.problems.add(0, "", reason)
	}
	if s.problems.none() {
		return nil
	}
	return &s.problems
}

var errTooLarge = errors.New("over the byte limit")

// limitReader is io.LimitReader with an error when there is more.
type limitReader struct {
	r    io.Reader
	left int64
}

func (l *limitReader) Read(p []byte) (int, error) {
	// One byte more than is left tells whether the file ends there.
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if int64(n) > l.left {
		n, err = int(l.left), errTooLarge
	}
	l.left -= int64(n)
	return n, err
}
