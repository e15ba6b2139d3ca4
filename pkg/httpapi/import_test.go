package httpapi_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// addresses is a file of so many addresses and nothing else.
func addresses(n int) string {
	var b strings.Builder
	b.WriteString("EmailAddress\n")
	for i := range n {
		fmt.Fprintf(&b, "user%d@example.com\n", i)
	}
	return b.String()
}

// TestFilesOfTheOtherTypesAreChecked: all that can be said of the file of a batch that
// cannot be run yet is said, and then that.
func TestFilesOfTheOtherTypesAreChecked(t *testing.T) {
	e := newEnv(t)
	op := e.token("default", migration.Operator)
	e.endpoints(e.owner, "default")
	e.batch(op, "default")
	of := func(kind string) string {
		return `{"name":"x","type":"` + kind + `","sourceEndpoint":"old","targetEndpoint":"new"}`
	}
	for name, tc := range map[string]struct {
		kind, csv string
		mailboxes float64
		warnings  int
		problems  []string
	}{
		"staged":                           {"staged", "EmailAddress,Password,ForceChangePassword\nzoe@example.com,,False\n", 1, 0, nil},
		"staged, too many":                 {"staged", addresses(2_001), 0, 0, []string{"2002||at most 2,000"}},
		"staged, wrong throughout":         {"staged", "Email Address,ForceChangePassword\nzoe,no\nann@example.com,True\n", 0, 0, []string{"1|Email Address|did you mean EmailAddress?", "2|EmailAddress|no @", "2|ForceChangePassword|neither", `3||"pilot"`}},
		"cross-tenant":                     {"crossTenant", addresses(2_000), 2_000, 0, nil},
		"cross-tenant, more than advised":  {"crossTenant", addresses(2_001), 2_001, 1, nil},
		"cross-tenant, columns of another": {"crossTenant", users, 0, 0, []string{"1|UserName|of type imap", "1|Password|of type imap", "1|TargetPassword|of type imap", `2||"pilot"`, `3||"pilot"`, `4||"pilot"`}},
	} {
		t.Run(name, func(t *testing.T) {
			checked := e.upload(op, inDefault+"/batches?dryRun=true", of(tc.kind), "x.csv", tc.csv)
			made := e.upload(op, inDefault+"/batches", of(tc.kind), "x.csv", tc.csv)
			if tc.problems == nil {
				p := checked.json(t)
				if checked.status != 200 || p["mailboxes"] != tc.mailboxes || len(p["warnings"].([]any)) != tc.warnings {
					t.Errorf("checked: %d %s", checked.status, checked.body)
				}
				if p := made.json(t); made.status != 422 || p["code"] != "InvalidArgument" || !strings.Contains(p["detail"].(string), "cannot be run yet") {
					t.Errorf("made: %d %s", made.status, made.body)
				}
			} else {
				for _, a := range []answer{checked, made} {
					got := problems(a.json(t))
					if a.status != 422 || a.json(t)["code"] != "CsvInvalid" || len(got) != len(tc.problems) {
						t.Errorf("got %d %s", a.status, a.body)
					}
					for _, want := range tc.problems {
						if !slices.ContainsFunc(got, func(g string) bool { return says(g, want) }) {
							t.Errorf("no problem %q in %q", want, got)
						}
					}
				}
			}
			e.as(op, "GET", inDefault+"/batches/x", nil, 404)
		})
	}
}

// TestTheSameFileAgainIsHarmless: as a new batch of the same name it says how it is meant,
// as users it changes nothing, or only what is new.
func TestTheSameFileAgainIsHarmless(t *testing.T) {
	e := newEnv(t)
	op := e.token("default", migration.Operator)
	e.endpoints(e.owner, "default")
	e.batch(op, "default")
	if p := e.upload(op, inDefault+"/batches", spec, "pilot.csv", users); p.status != 409 || !strings.Contains(p.body, "add-users") {
		t.Errorf("as a batch: %d %s", p.status, p.body)
	}
	for _, x := range []struct {
		csv                         string
		created, unchanged, updated float64
	}{
		{users, 0, 3, 0},
		{"\xef\xbb\xbf" + strings.ReplaceAll(users, "\n", "\r\n"), 0, 3, 0},
		{users + "zoe@example.com,zoe,four,4\n", 1, 3, 0},
		{strings.Replace(users, "bob,two", "bob,new", 1) + "zoe@example.com,zoe,four,4\n", 0, 3, 1},
		{strings.Replace(users, "bob,two", "bob,new", 1), 0, 3, 0},
	} {
		a := e.upload(op, inDefault+"/batches/pilot/users", "", "pilot.csv", x.csv)
		if got := a.json(t); a.status != 200 || got["created"] != x.created || got["unchanged"] != x.unchanged || got["updated"] != x.updated {
			t.Errorf("%q: %d %s, want %+v", x.csv, a.status, a.body, x)
		}
	}
	if b := e.as(op, "GET", inDefault+"/batches/pilot", nil, 200); count(b, "total") != 4 {
		t.Errorf("%d users, want 4: who is no longer in the file stays", count(b, "total"))
	}
}

// TestAnUploadThatBreaksOffLeavesNothing: at twenty places of the request, the first in its
// spec, the last a byte before its end.
func TestAnUploadThatBreaksOffLeavesNothing(t *testing.T) {
	e := newEnv(t)
	op := e.token("default", migration.Operator)
	e.endpoints(e.owner, "default")
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if err := form.WriteField("spec", spec); err != nil {
		t.Fatal(err)
	}
	part, err := form.CreateFormFile("csv", "pilot.csv")
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	for i := range 2_000 {
		fmt.Fprintf(&rows, "user%d@example.com,user%d,secret,secret\n", i, i)
	}
	if _, err := io.WriteString(part, "EmailAddress,UserName,Password,TargetPassword\n"+rows.String()); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(e.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	send := func(n int) int {
		t.Helper()
		c, err := net.Dial("tcp", address.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		head := fmt.Sprintf("POST %s/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n",
			inDefault, op, form.FormDataContentType(), body.Len())
		if _, err := c.Write(append([]byte(head), body.Bytes()[:n]...)); err != nil {
			t.Fatal(err)
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
		defer func() { _ = res.Body.Close() }()
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode
	}
	const places = 20
	for i := range places {
		n := (body.Len() - 1) * (i + 1) / places
		if i == 0 {
			n = strings.Index(body.String(), "targetEndpoint")
		}
		if status := send(n); status < 400 || status >= 500 {
			t.Errorf("cut after %d of %d bytes: status %d", n, body.Len(), status)
		}
		if list := e.as(op, "GET", inDefault+"/batches", nil, 200)["items"].([]any); len(list) != 0 {
			t.Fatalf("cut after %d of %d bytes: there is %v", n, body.Len(), list)
		}
	}
	whole := e.do(request{method: "POST", path: inDefault + "/batches", token: op, body: body.Bytes(), contentType: form.FormDataContentType()})
	if whole.status != 201 {
		t.Errorf("whole: %d %s", whole.status, whole.body)
	}
	if b := e.as(op, "GET", inDefault+"/batches/pilot", nil, 200); count(b, "total") != 2_000 {
		t.Errorf("whole: %v", b)
	}
}
