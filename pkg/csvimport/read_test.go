package csvimport_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"

	"github.com/mailhaul/mailhaul/pkg/csvimport"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

const head = "EmailAddress,UserName,Password\n"

// check returns the number of rows and the problems as text, one a line.
func check(t *testing.T, file string, o csvimport.Options) (rows int, problems string) {
	t.Helper()
	rows, err := csvimport.Check(strings.NewReader(file), o, nil)
	return rows, text(t, err)
}

func text(t *testing.T, err error) string {
	t.Helper()
	var p *csvimport.Problems
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &p):
		t.Fatalf("got an error that is no *Problems: %v", err)
	}
	return p.Error()
}

func collect(r io.Reader, o csvimport.Options) (rows []csvimport.Row, err error) {
	for row, e := range csvimport.Read(r, o) {
		if e != nil {
			return rows, e
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func TestRows(t *testing.T) {
	file := "Password,EmailAddress,TargetRoot,UserName,UserRoot,TargetPassword,TargetUserName,Code,Reason,Remedy\r\n" +
		"\"p,\"\"w \",ann@example.com,/t,ann,/users/ann,tp,ann-t,,,\r\n" +
		"\r\n" +
		",Bob.O'Neil+x@sub.example.com,,domain\\admin\\bob,,,,AuthFailed,\"said \"\"no\"\"\",do\r\n"
	rows, err := collect(strings.NewReader(file), csvimport.Options{})
	if err != nil || len(rows) != 2 {
		t.Fatalf("got %d rows, %v", len(rows), err)
	}
	a, b := rows[0], rows[1]
	if a.Line != 2 || a.EmailAddress != "ann@example.com" || a.UserName != "ann" || a.UserRoot != "/users/ann" || a.TargetRoot != "/t" || a.TargetUserName != "ann-t" {
		t.Errorf("row 1: %+v", a)
	}
	if a.Password.Reveal() != `p,"w ` || !a.HasPassword || a.TargetPassword.Reveal() != "tp" || !a.HasTargetPassword {
		t.Errorf("row 1's secrets: %q %q", a.Password.Reveal(), a.TargetPassword.Reveal())
	}
	if b.Line != 4 || b.EmailAddress != "Bob.O'Neil+x@sub.example.com" || b.UserName != `domain\admin\bob` || b.HasPassword || b.HasTargetPassword {
		t.Errorf("row 2: %+v", b)
	}
	if s := fmt.Sprintf("%+v", rows); strings.Contains(s, "tp") || strings.Contains(s, "p,") {
		t.Errorf("a row prints its password: %s", s)
	}
}

func TestProblems(t *testing.T) {
	const row = "ann@example.com,ann,pw\n"
	for name, tc := range map[string]struct{ file, want string }{
		"good":                  {head + row, ""},
		"no final line end":     {head + "ann@example.com,ann,pw", ""},
		"empty":                 {"", "the file is empty"},
		"only a mark":           {"\xef\xbb\xbf", "the file is empty"},
		"only line ends":        {"\n\r\n\n", "the file is empty"},
		"only blanks":           {"\n \n ,\n", "the file is empty"},
		"blanks before":         {"\n , ,\n" + head + ",bob,p\n", "line 4: EmailAddress: empty: give the address of the mailbox"},
		"only a header":         {head, "the file has a header but no rows"},
		"semicolons":            {"EmailAddress;UserName;Password\na@b.c;a;p\n", "line 1: the file is separated by semicolons: save it with commas as separator"},
		"semicolons and quotes": {`"EmailAddress";"UserName";"Password"` + "\n", "line 1: the file is separated by semicolons: save it with commas as separator"},
		"tabs":                  {"EmailAddress\tUserName\tPassword\n", "line 1: the file is separated by tabs: save it with commas as separator"},
		"semicolons and more":   {"Email Address;UserName;Password\na@b.c;a;\"p;w\"\nA@b.c;b;p\nc@b.c;c\n", "line 1: the file is separated by semicolons: save it with commas as separator\nline 1: Email Address: unknown column: did you mean EmailAddress?\nline 3: EmailAddress: the same user as in line 2\nline 4: 2 cells, but the header has 3 columns"},
		"windows-1252 and more": {"EmailAddress,UserName,Password\na@b.c,,p\nd@b.c,M\xfcller,p\nA@b.c,b,p\xe4\nc@b.c,c\n", "line 2: UserName: empty: give the login name at the source\nline 3: byte 8 of the line, 0xFC, is not UTF-8; the file looks like Windows-1252 (Western European): save it as UTF-8, or name its encoding (such as windows-1252)\nline 4: EmailAddress: the same user as in line 2\nline 5: 2 cells, but the header has 3 columns"},
		"excel's sep":           {"sep=,\n" + head + row, `line 1: the first line is "sep=", which only Excel knows: delete it`},
		"no header":             {row + row, "line 1: the first line must name the columns: EmailAddress,UserName,Password; it looks like a row"},
		"old mac line ends":     {"EmailAddress,UserName,Password\ra@b.c,a,p\r", "line 1: a line ends within the header: end lines with LF or CRLF, and close every quote"},
		"near miss: space":      {"Email Address,UserName,Password\n" + row, "line 1: Email Address: unknown column: did you mean EmailAddress?"},
		"near miss: case":       {"emailaddress,username,password\n" + row, "line 1: emailaddress: unknown column: did you mean EmailAddress?\nline 1: username: unknown column: did you mean UserName?\nline 1: password: unknown column: did you mean Password?"},
		"near miss: typing":     {"EmailAdress,UserName,Pasword\n" + row, "line 1: EmailAdress: unknown column: did you mean EmailAddress?\nline 1: Pasword: unknown column: did you mean Password?"},
		"near miss: other word": {"E-Mail,Login,Pwd\n" + row, "line 1: E-Mail: unknown column: did you mean EmailAddress?\nline 1: Login: unknown column: did you mean UserName?\nline 1: Pwd: unknown column: did you mean Password?"},
		"near miss: and a row":  {"EmailAdress,UserName,Password\nann,,pw\n", "line 1: EmailAdress: unknown column: did you mean EmailAddress?\nline 2: EmailAddress: not an address: there is no @\nline 2: UserName: empty: give the login name at the source"},
		"near miss: padded":     {"EmailAddress, UserName,Password\n" + row, "line 1: UserName: unknown column: did you mean UserName, without a space before or after it?"},
		"near miss: optional":   {"EmailAddress,UserName,Password,userRoot\nann@example.com,ann,pw,/\n", "line 1: userRoot: unknown column: did you mean UserRoot?"},
		"missing":               {"EmailAddress,Telephone\nann@example.com,1\n", "line 1: Telephone: unknown column: remove it, or allow unknown columns (--allow-unknown-columns)\nline 1: UserName: the column is missing\nline 1: Password: the column is missing"},
		"column twice":          {"EmailAddress,UserName,Password,UserName\nann@example.com,ann,pw,x\n", "line 1: UserName: the column is there twice (columns 2 and 4)"},
		"column without name":   {"EmailAddress,UserName,Password,\nann@example.com,ann,pw,\n", "line 1: column 4 has no name: delete it, or give it one"},
		"too few, too many":     {head + "ann@example.com,ann\nbob@example.com,bob,p,w\n", "line 2: 2 cells, but the header has 3 columns\nline 3: 4 cells, but the header has 3 columns"},
		"empty rows":            {head + row + ",,\n , ,,,\n\nbob@example.com,,p\n,,\n", "line 6: UserName: empty: give the login name at the source"},
		"empty rows alone":      {head + ",,\n,,\n", "the file has a header but no rows"},
		"twice":                 {head + row + "bob@example.com,bob,p\nAnn@Example.com,x,y\n", "line 4: EmailAddress: the same user as in line 2"},
		"blank names":           {head + ",,pw\n", "line 2: EmailAddress: empty: give the address of the mailbox\nline 2: UserName: empty: give the login name at the source"},
		"no password":           {head + "ann@example.com,ann,\n", ""},
		"bare quote":            {head + "ann@example.com,ann,p\"w\nbob@example.com,,p\n", "line 2: a quote inside a cell that is not quoted: put the cell in quotes and write the quote twice (\"pass\"\"word\")\nline 3: UserName: empty: give the login name at the source"},
		"open quote":            {head + row + "bob@example.com,bob,\"pw\ncarl@example.com,carl,pw\n", "line 3: a quoted cell is not closed, or goes on after its closing quote"},
		"line end in cells":     {head + "ann@example.com,\"an\nn\",\"p\nw\"\nbob@example.com,,\n", "line 2: UserName: a control character, such as a tab or a line end, in the cell\nline 2: Password: a line end in the cell\nline 5: UserName: empty: give the login name at the source"},
		"padded cells":          {head + " ann@example.com,ann , pw \n", "line 2: EmailAddress: a space before or after the address\nline 2: UserName: a space before or after the name"},
		"damaged":               {head + "ann@example.com,ann,p\ufffd\n", "line 2: Password: the character U+FFFD: an earlier conversion has damaged the cell"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := check(t, tc.file, csvimport.Options{}); got != tc.want {
				t.Errorf("file:\n%s\ngot:\n%s\nwant:\n%s", tc.file, got, tc.want)
			}
		})
	}
}

func TestPasswordColumnMayBeAbsentWithAnAdministrator(t *testing.T) {
	o := csvimport.Options{PasswordOptional: true}
	for file, want := range map[string]string{
		"EmailAddress,UserName\nann@example.com,ann\n":             "",
		"EmailAddress,UserName,Password\nann@example.com,ann,pw\n": "",
		"EmailAddress,UserName,Pasword\nann@example.com,ann,pw\n":  "line 1: Pasword: unknown column: did you mean Password?",
	} {
		if rows, got := check(t, file, o); got != want || want == "" && rows != 1 {
			t.Errorf("file:\n%s\ngot %d rows:\n%s\nwant:\n%s", file, rows, got, want)
		}
	}
}

func TestUnknownColumnsAllowed(t *testing.T) {
	o := csvimport.Options{AllowUnknownColumns: true}
	if _, got := check(t, "EmailAddress,UserName,Password,Telephone,Rooms\nann@example.com,ann,pw,1,2\n", o); got != "" {
		t.Errorf("got %s", got)
	}
	// What would silently not be read is still told.
	if _, got := check(t, "EmailAddress,UserName,Pass word,user_root\nann@example.com,ann,pw,/\n", o); got !=
		"line 1: Pass word: unknown column: did you mean Password?\nline 1: user_root: unknown column: did you mean UserRoot?" {
		t.Errorf("got %s", got)
	}
}

func TestAddresses(t *testing.T) {
	for _, good := range []string{
		"a@b", "first.last@example.com", "o'neil@example.com", "a+tag@x.co.uk", "_x@example.com", "1@2.3", "user@xn--mnchen-3ya.de", "user@münchen.de", "josé@example.com", "用户@例子.中国", strings.Repeat("l", 64) + "@example.com",
	} {
		if _, got := check(t, head+good+",u,p\n", csvimport.Options{}); got != "" {
			t.Errorf("%s: %s", good, got)
		}
	}
	for _, bad := range []string{
		"ann", "@example.com", "ann@", "ann@@example.com", "a b@example.com", "ann@exa mple.com", ".ann@example.com", "ann.@example.com", "a..b@example.com", "ann@.com", "ann@example..com",
		"ann@example.com.", "ann@-example.com", "Ann <ann@example.com>", "ann@example.com;bob@example.com", "a,b@example.com", "ann@[127.0.0.1]", "\"\"\"a b\"\"@example.com\"",
		strings.Repeat("l", 65) + "@example.com", "ann@" + strings.Repeat("h", 64) + ".com", "ann@" + strings.Repeat("h.", 140) + "com", "ann\u200b@example.com", "ann@example.com\u00a0",
	} {
		var b strings.Builder
		w := csv.NewWriter(&b)
		_ = w.Write([]string{bad, "u", "p"})
		w.Flush()
		if _, got := check(t, head+b.String(), csvimport.Options{}); !strings.HasPrefix(got, "line 2: EmailAddress: ") || strings.Contains(got, "\n") {
			t.Errorf("%s: got %q, want one problem of EmailAddress", bad, got)
		}
	}
}

func rowsOf(n int) string {
	var b strings.Builder
	b.WriteString(head)
	for i := range n {
		fmt.Fprintf(&b, "user%d@example.com,user%d,password-%d\n", i, i, i)
	}
	return b.String()
}

func TestRowLimit(t *testing.T) {
	if rows, got := check(t, rowsOf(50_000), csvimport.Options{}); rows != 50_000 || got != "" {
		t.Errorf("at the limit: %d rows, %s", rows, got)
	}
	if _, got := check(t, rowsOf(50_001), csvimport.Options{}); got != "line 50002: the file has 50,001 rows, at most 50,000 are taken: split it" {
		t.Errorf("one over: %s", got)
	}
}

func TestByteLimit(t *testing.T) {
	file := rowsOf(10)
	o := csvimport.Options{Limit: csvimport.Limits{Bytes: int64(len(file))}}
	for name, r := range map[string]io.Reader{"whole": strings.NewReader(file), "byte by byte": iotest.OneByteReader(strings.NewReader(file)), "with its end": iotest.DataErrReader(strings.NewReader(file))} {
		if rows, err := csvimport.Check(r, o, nil); rows != 10 || err != nil {
			t.Errorf("at the limit, %s: %d rows, %v", name, rows, err)
		}
	}
	if _, got := check(t, file+"\n", o); got != "the file has more than 381 bytes: split it" {
		t.Errorf("one over: %s (%d)", got, len(file))
	}
	// The default, to the byte.
	pad := func(n int) string {
		const wide = 1000
		var b strings.Builder
		b.WriteString("EmailAddress,UserName,Password,UserRoot\n")
		for i := 0; b.Len() < n; i++ {
			row := fmt.Sprintf("u%06d@example.com,u,p,", i)
			b.WriteString(row + strings.Repeat("r", max(0, min(wide, n-b.Len()-len(row)-1))) + "\n")
		}
		return b.String()[:n]
	}
	if _, got := check(t, pad(10_485_760), csvimport.Options{}); got != "" {
		t.Errorf("10,485,760 bytes: %s", got)
	}
	if _, got := check(t, pad(10_485_761), csvimport.Options{}); got != "the file has more than 10,485,760 bytes: split it" {
		t.Errorf("10,485,761 bytes: %s", got)
	}
}

func TestProblemsAreCountedBeyondAThousand(t *testing.T) {
	_, err := csvimport.Check(strings.NewReader(head+strings.Repeat("x,y,z\n", 2345)), csvimport.Options{}, nil)
	var p *csvimport.Problems
	if !errors.As(err, &p) || len(p.List) != 1000 || p.More != 1345 || !strings.HasSuffix(p.Error(), "\nand 1,345 more") {
		t.Fatalf("got %d and %d more", len(p.List), p.More)
	}
	if f := migration.AsFault(err); f.Code != migration.CsvInvalid || !strings.Contains(f.Reason, "2,345 problems; the first: line 2") {
		t.Errorf("as a fault: %v", f)
	}
}

func TestCallersReasons(t *testing.T) {
	file := head + "ann@example.com,ann,\nbad,bob,\ncarl@example.com,carl,pw\n"
	rows, err := csvimport.Check(strings.NewReader(file), csvimport.Options{}, func(r csvimport.Row) []csvimport.Problem {
		if !r.HasPassword {
			return []csvimport.Problem{{Column: "UserName", Reason: "unknown"}, {Reason: "no password, and the endpoint has no administrator"}}
		}
		return nil
	})
	const both = "line %[1]d: UserName: unknown\nline %[1]d: no password, and the endpoint has no administrator"
	want := fmt.Sprintf(both+"\nline 3: EmailAddress: not an address: there is no @\n", 2) + fmt.Sprintf(both, 3)
	if got := text(t, err); rows != 3 || got != want {
		t.Errorf("%d rows, got:\n%s", rows, got)
	}
}

func TestReadYieldsRowsUpToTheFirstProblem(t *testing.T) {
	file := head + "ann@example.com,ann,pw\nbad,bob,pw\ncarl@example.com,carl,pw\nworse,dora,pw\n"
	rows, err := collect(strings.NewReader(file), csvimport.Options{})
	if len(rows) != 1 || strings.Count(text(t, err), "\n") != 1 {
		t.Errorf("got %d rows and:\n%v", len(rows), err)
	}
	for _, err := range csvimport.Read(strings.NewReader(rowsOf(10)), csvimport.Options{}) {
		if err != nil {
			t.Error(err)
		}
		break // must not be called again
	}
}

func TestBrokenUploadIsNoProblemOfTheFile(t *testing.T) {
	broken := io.MultiReader(strings.NewReader(head+"ann@example.com,ann,pw\n"), iotest.ErrReader(io.ErrUnexpectedEOF))
	_, err := csvimport.Check(broken, csvimport.Options{}, nil)
	if !errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, new(*csvimport.Problems)) {
		t.Errorf("got %v", err)
	}
}

func encode(t *testing.T, e encoding.Encoding, s string) string {
	t.Helper()
	out, err := e.NewEncoder().String(s)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	return out
}

func TestEncodings(t *testing.T) {
	chinese := "EmailAddress,UserName,Password,UserRoot\nann@example.com,ann,pw,/用户/安娜\nbob@example.com,bob,pw,/销售部门/存档\n"
	western := "EmailAddress,UserName,Password,UserRoot\nann@example.com,ann,pw,/x\nbob@example.com,bob,Gr\u00fc\u00dfe,/Stra\u00dfe/Caf\u00e9\n"
	polish := "EmailAddress,UserName,Password,UserRoot\nann@example.com,ann,pw,/\u0141\u00f3d\u017a/Wa\u017cne/\u017b\u00f3\u0142\u0107\n"
	russian := "EmailAddress,UserName,Password,UserRoot\nann@example.com,ann,pw,/Пользователи/Иванов\n"
	of := func(root string) string {
		return "EmailAddress,UserName,Password,UserRoot\nann@example.com,ann,pw," + root + "\n"
	}
	greek := "EmailAddress,UserName,Password,UserRoot\nann@example.com,ann,pw,/Χρήστες/Παπαδόπουλος/Αρχείο\n"
	utf16le, utf16be := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	for name, tc := range map[string]struct {
		file, encoding string
		want           string // all that is expected in the problem; "" for none
	}{
		"utf-8":                      {chinese, "", ""},
		"utf-8 with mark":            {"\xef\xbb\xbf" + chinese, "", ""},
		"utf-8 with mark, misnamed":  {"\xef\xbb\xbf" + chinese, "gbk", ""},
		"utf-16le":                   {encode(t, utf16le, chinese), "", ""},
		"utf-16be":                   {encode(t, utf16be, chinese), "", ""},
		"utf-16, a byte short":       {encode(t, utf16le, western)[:81], "", "line 1|cannot be converted from UTF-16"},
		"utf-16 without mark":        {encode(t, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), western), "", "line 1|byte 2 of the line|looks like UTF-16"},
		"utf-16 without mark, named": {encode(t, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), western), "utf-16le", ""},
		"utf-32":                     {"\xff\xfe\x00\x00E\x00\x00\x00", "", "line 1|UTF-32"},
		"gbk":                        {encode(t, simplifiedchinese.GBK, chinese), "", "line 2|byte 25 of the line, 0xD3|GBK/GB18030|gb18030"},
		"gbk, named":                 {encode(t, simplifiedchinese.GBK, chinese), "gbk", ""},
		"gb18030, named":             {encode(t, simplifiedchinese.GB18030, chinese), "GB18030", ""},
		"big5, named":                {encode(t, traditionalchinese.Big5, strings.NewReplacer("户", "戶", "销", "銷", "门", "門", "档", "檔", "部", "部").Replace(chinese)), "big5", ""},
		"windows-1252":               {encode(t, charmap.Windows1252, western), "", "line 3|byte 23 of the line, 0xFC|Windows-1252"},
		"windows-1252, named":        {encode(t, charmap.Windows1252, western), "windows-1252", ""},
		"windows-1250":               {encode(t, charmap.Windows1250, polish), "", "line 2|Windows-1250"},
		"windows-1251":               {encode(t, charmap.Windows1251, russian), "", "line 2|Windows-1251"},
		"not what was named":         {encode(t, charmap.Windows1252, western), "gb18030", "line 3|cannot be converted from gb18030"},
		"windows-1251, in capitals":  {encode(t, charmap.Windows1251, strings.Replace(russian, "Пользователи/Иванов", "ИВАНОВ/ПЕТРОВ", 1)), "", "line 2|Windows-1251"},
		"windows-1253":               {encode(t, charmap.Windows1253, greek), "", "line 2|Windows-1253"},
		"windows-1253, named":        {encode(t, charmap.Windows1253, greek), "windows-1253", ""},
		"windows-1254":               {encode(t, charmap.Windows1254, of("/Kullanıcılar/Çağrı Yıldız/Gönderilmiş Öğeler")), "", "line 2|Windows-1254"},
		"windows-1255":               {encode(t, charmap.Windows1255, of("/משתמשים/אברהם כהן")), "", "line 2|Windows-1255"},
		"windows-1256":               {encode(t, charmap.Windows1256, of("/المستخدمون/عبد الله الأحمد")), "", "line 2|Windows-1256"},
		"icelandic":                  {encode(t, charmap.Windows1252, of("/Guðrún Þórðardóttir/Sigurður Ýmisson/Með bréfum")), "", "line 2|Windows-1252"},
		"french":                     {encode(t, charmap.Windows1252, of("/Éléments envoyés/Hélène Gâté/Brouillons reçus")), "", "line 2|Windows-1252"},
		"spanish":                    {encode(t, charmap.Windows1252, of("/Año Núñez/Correo electrónico no deseado")), "", "line 2|Windows-1252"},
		"czech":                      {encode(t, charmap.Windows1250, of("/Tomáš Dvořák/Koš/Odeslaná pošta")), "", "line 2|Windows-1250"},
		"russian, small letters":     {encode(t, charmap.Windows1251, of("/почта/архив писем/входящие")), "", "line 2|Windows-1251"},
		"russian, few letters":       {encode(t, charmap.Windows1251, of("/почта/архив")), "", "line 2|Windows-1251"},
		"ukrainian":                  {encode(t, charmap.Windows1251, of("/Надіслані/Олександра Шевченко")), "", "line 2|Windows-1251"},
		"greek, small letters":       {encode(t, charmap.Windows1253, of("/αλληλογραφία/παλιά μηνύματα")), "", "line 2|Windows-1253"},
		"two chinese characters":     {encode(t, simplifiedchinese.GBK, of("/张伟")), "", "line 2|GBK"},
		"a workbook":                 {"PK\x03\x04\x14\x00\x06\x00\x08\x00", "", "workbook|CSV UTF-8"},
		"an old workbook":            {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "windows-1252", "workbook|CSV UTF-8"},
		"unknown name":               {western, "klingon", `encoding "klingon" is not known`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := csvimport.Check(strings.NewReader(tc.file), csvimport.Options{Encoding: tc.encoding}, nil)
			got := text(t, err)
			if tc.want == "" && err != nil {
				t.Errorf("got %s", got)
			}
			for part := range strings.SplitSeq(tc.want, "|") {
				if !strings.Contains(got, part) {
					t.Errorf("got %q, want %q in it", got, part)
				}
			}
			if f := migration.AsFault(err); tc.want != "" && f.Code != migration.CsvEncoding {
				t.Errorf("code %s", f.Code)
			}
		})
	}
	rows, err := collect(strings.NewReader(encode(t, simplifiedchinese.GBK, chinese)), csvimport.Options{Encoding: "gbk"})
	if err != nil || rows[0].UserRoot != "/用户/安娜" || rows[1].UserRoot != "/销售部门/存档" {
		t.Errorf("converted to %+v, %v", rows, err)
	}
}

// The place of the offending byte is right wherever the reader's buffers end.
func TestOffendingByteAtEveryBufferEdge(t *testing.T) {
	for n := 4080; n < 4110; n++ {
		file := head + strings.Repeat("x", n-len(head)) + "\xfc"
		_, err := csvimport.Check(iotest.HalfReader(strings.NewReader(file)), csvimport.Options{}, nil)
		want := fmt.Sprintf("line 2: byte %d of the line, 0xFC", n-len(head)+1)
		if got := text(t, err); !strings.HasPrefix(got, want) {
			t.Fatalf("at %d: got %q, want %q", n, got, want)
		}
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var file bytes.Buffer
		w := csv.NewWriter(&file)
		w.UseCRLF = rapid.Bool().Draw(t, "crlf")
		columns := rapid.Permutation([]string{"EmailAddress", "UserName", "Password", "UserRoot"}).Draw(t, "columns")
		_ = w.Write(columns)
		type user struct{ address, name, password, root string }
		var want, got []user
		for i := range rapid.IntRange(1, 20).Draw(t, "rows") {
			u := user{
				fmt.Sprintf("u%d@example.com", i), "u" + rapid.StringMatching(`[a-z,";#*/\\é]{0,8}`).Draw(t, "name"),
				rapid.StringMatching(`[ -~ä用]{0,10}`).Draw(t, "password"), rapid.StringMatching(`[a-z,"/ ]{0,8}`).Draw(t, "root"),
			}
			cells := map[string]string{"EmailAddress": u.address, "UserName": u.name, "Password": u.password, "UserRoot": u.root}
			record := make([]string, len(columns))
			for j, c := range columns {
				record[j] = cells[c]
			}
			_ = w.Write(record)
			want = append(want, u)
		}
		w.Flush()
		rows, err := collect(bytes.NewReader(file.Bytes()), csvimport.Options{})
		if err != nil {
			t.Fatalf("%s\n%v", file.String(), err)
		}
		for _, r := range rows {
			got = append(got, user{r.EmailAddress, r.UserName, r.Password.Reveal(), r.UserRoot})
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func TestNoProblemQuotesACell(t *testing.T) {
	const secret = "S3cr3tW0rd"
	for _, file := range []string{
		head + secret + ",u,p\n", head + "a@b.c,u," + secret + "\"x\n", head + "a@b.c,u," + secret + "\x01\n" + "a@b.c,u," + secret + "\r\n",
		head + "a@b.c,u," + secret + ",x\n", "a@b.c,u," + secret + "\n", head + "a@b.c,u,\"" + secret + "\n", head + "a@b.c,u," + secret + "\xfc\n",
		// In a wrong encoding a whole file may become one cell of its first line.
		strings.Repeat("x", 60) + secret + ",UserName,Password\n", "UserName,UserName," + strings.Repeat(secret, 7) + "," + strings.Repeat(secret, 7) + "\n",
	} {
		if _, err := csvimport.Check(strings.NewReader(file), csvimport.Options{}, nil); err == nil || strings.Contains(err.Error(), secret) || strings.Contains(migration.AsFault(err).Error(), secret) {
			t.Errorf("file:\n%s\ngot: %v", file, err)
		}
	}
}

// A row's strings must not keep the whole record, with the password, in memory.
func TestMemoryIsBounded(t *testing.T) {
	var before, after runtime.MemStats
	const n = 50_000
	pad := strings.Repeat("p", 120)
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, head)
		for i := range n {
			fmt.Fprintf(w, "user%d@example.com,user%d,%s\n", i, i, pad)
		}
		_ = w.Close()
	}()
	runtime.GC()
	runtime.ReadMemStats(&before)
	count := 0
	for _, err := range csvimport.Read(r, csvimport.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		if count++; count == n {
			runtime.GC()
			runtime.ReadMemStats(&after)
		}
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 6<<20 {
		t.Errorf("%d rows of 160 bytes hold %d bytes", n, grown)
	} else {
		t.Logf("%d rows hold %d bytes", n, grown)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(head+"ann@example.com,ann,pw\n"), "", byte(0))
	f.Add([]byte("EmailAddress;UserName\n\"x"), "", byte(0))
	f.Add([]byte("\xff\xfeE\x00m\x00"), "", byte(0))
	f.Add([]byte(head+"\xd3\xc3\xbb\xa7,\"a\"\"b\",c\r\n,,\n"), "gbk", byte(0))
	f.Add([]byte("EmailAddress,ForceChangePassword\nann@example.com,True\n"), "", byte(1))
	f.Add([]byte("EmailAddress\nann@example.com\n"), "", byte(2))
	f.Fuzz(func(t *testing.T, file []byte, encoding string, kind byte) {
		kinds := csvimport.Kinds()
		o := csvimport.Options{Kind: kinds[int(kind)%len(kinds)], Encoding: encoding, Limit: csvimport.Limits{Rows: 100, Bytes: 4096}}
		n, checkErr := csvimport.Check(bytes.NewReader(file), o, func(csvimport.Row) []csvimport.Problem { return nil })
		rows, readErr := collect(iotest.OneByteReader(bytes.NewReader(file)), o)
		if got, want := text(t, readErr), text(t, checkErr); got != want {
			t.Fatalf("read says:\n%s\ncheck says:\n%s", got, want)
		}
		if readErr == nil && (len(rows) != n || n == 0 || n > 100 || len(file) > 4096) {
			t.Fatalf("%d rows read, %d checked, of %d bytes", len(rows), n, len(file))
		}
		for _, r := range rows {
			if !strings.Contains(r.EmailAddress, "@") || (r.UserName == "") != (o.Kind != csvimport.IMAP) || r.Line < 2 {
				t.Fatalf("row %+v", r)
			}
		}
	})
}

func BenchmarkCheck50000(b *testing.B) {
	file := rowsOf(50_000)
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if _, err := csvimport.Check(strings.NewReader(file), csvimport.Options{}, nil); err != nil {
			b.Fatal(err)
		}
	}
}
