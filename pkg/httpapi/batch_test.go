package httpapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const inDefault = "/v1/orgs/default"

func TestABatchFromItsFileToItsEnd(t *testing.T) {
	e := newEnv(t)
	op := e.token("default", migration.Operator)
	e.endpoints(e.owner, "default")
	e.batch(op, "default")

	b := e.as(op, "GET", inDefault+"/batches/pilot", nil, 200)
	if b["status"] != "Created" || count(b, "total") != 3 || count(b, "created") != 3 || b["resyncInterval"] != "24h" || b["deletions"] != "keep" {
		t.Fatalf("new batch: %v", b)
	}
	if b := e.as(op, "POST", inDefault+"/batches/pilot/sync", nil, 409); b["code"] != "Conflict" {
		t.Errorf("sync before the start: %v", b)
	}
	if b := e.as(op, "POST", inDefault+"/batches/pilot/start", nil, 200); b["status"] != "Syncing" || count(b, "queued") != 3 {
		t.Fatalf("started: %v", b)
	}
	e.pass(nil)
	b = e.as(op, "GET", inDefault+"/batches/pilot", nil, 200)
	m := b["messages"].(map[string]any)
	if b["status"] != "Synced" || m["seen"] != 30.0 || m["copied"] != 27.0 || m["skipped"] != 3.0 || b["lastSyncedAt"] == nil {
		t.Fatalf("synced: %v", b)
	}
	if b := e.as(op, "POST", inDefault+"/batches/pilot/stop", nil, 200); b["status"] != "Stopped" {
		t.Fatalf("stopped: %v", b)
	}
	if b := e.as(op, "POST", inDefault+"/batches/pilot/complete", nil, 409); b["code"] != "Conflict" {
		t.Errorf("complete while stopped: %v", b)
	}
	e.as(op, "POST", inDefault+"/batches/pilot/start", nil, 200)
	e.as(op, "POST", inDefault+"/batches/pilot/sync", nil, 200)
	e.pass(nil)
	e.as(op, "POST", inDefault+"/batches/pilot/verify", nil, 200)
	e.pass(nil)
	if b := e.as(op, "POST", inDefault+"/batches/pilot/complete", nil, 200); b["status"] != "Completing" {
		t.Fatalf("completing: %v", b)
	}
	e.pass(nil)
	if b := e.as(op, "GET", inDefault+"/batches/pilot", nil, 200); b["status"] != "Completed" || count(b, "completedWithWarnings") != 3 {
		t.Fatalf("completed: %v", b)
	}
	if items := e.as(op, "GET", inDefault+"/batches/pilot/items?code=MessageTooLarge&limit=2", nil, 200); len(items["items"].([]any)) != 2 || items["nextCursor"] == "" {
		t.Errorf("items: %v", items)
	}

	e.remove(op)
	kinds := map[string]bool{}
	for _, x := range e.as(e.owner, "GET", inDefault+"/audit?limit=1000", nil, 200)["items"].([]any) {
		kinds[x.(map[string]any)["kind"].(string)] = true
	}
	for _, kind := range []string{"endpoint.created", "batch.created", "batch.started", "batch.stopped", "batch.syncRequested", "batch.verifyRequested", "batch.completing", "batch.removed", "token.created"} {
		if !kinds[kind] {
			t.Errorf("the audit log has no %s: %v", kind, kinds)
		}
	}
}

// remove deletes the synced batch "pilot" and looks at what stays.
func (e *env) remove(op string) {
	e.t.Helper()
	if p := e.as(op, "DELETE", inDefault+"/batches/pilot?confirm=pilot", nil, 409); p["code"] != "NotReadyToRemove" || !strings.Contains(p["detail"].(string), "not checked yet; --force removes it") {
		e.t.Errorf("removed without the gates: %v", p)
	}
	e.as(op, "DELETE", inDefault+"/batches/pilot?force=true&keepReport=true", nil, 204)
	e.as(op, "GET", inDefault+"/batches/pilot", nil, 404)
	for _, format := range []string{"csv", "json", "html"} {
		a := e.do(request{method: "GET", path: inDefault + "/batches/pilot/reports/statistics?format=" + format, token: op})
		if a.status != 200 || !strings.Contains(a.body, "ann@example.com") || !strings.Contains(a.body, "CompletedWithWarnings") {
			e.t.Errorf("kept report as %s: %d %s", format, a.status, a.body)
		}
	}
	e.as(op, "GET", inDefault+"/batches/another/reports/statistics", nil, 404)
	e.as(e.owner, "DELETE", inDefault+"/endpoints/old", nil, 204) // not in use any more
}

func count(b map[string]any, status string) int {
	n, _ := b["counts"].(map[string]any)[status].(float64)
	return int(n)
}

func TestAFreshBatchIsRemovedOnConfirmation(t *testing.T) {
	e := newEnv(t)
	op := e.token("default", migration.Operator)
	e.endpoints(e.owner, "default")
	e.batch(op, "default")
	if p := e.as(op, "DELETE", inDefault+"/batches/pilot", nil, 409); p["code"] != "NeedsDecision" || !strings.HasSuffix(p["detail"].(string), "confirm with its name (--confirm), or do without (--force)") {
		t.Errorf("removed unasked: %v", p)
	}
	if p := e.as(op, "DELETE", inDefault+"/batches/pilot?confirm=pilo", nil, 409); p["code"] != "NeedsDecision" {
		t.Errorf("removed with the wrong name: %v", p)
	}
	e.as(op, "DELETE", inDefault+"/batches/pilot?confirm=pilot", nil, 204)
	e.batch(op, "default") // the name is free, and so are the mailboxes
}

func TestAllProblemsOfAFileAreToldAtOnce(t *testing.T) {
	e := newEnv(t)
	op := e.token("default", migration.Operator)
	e.endpoints(e.owner, "default")
	e.batch(op, "default")
	tests := map[string]struct {
		csv    string
		status int
		code   string
		want   []string // each LINE|part of column and reason|...
	}{
		"near miss of a column": {"Email Address,UserName,Password,TargetPassword\na@example.com,a,x,y\n", 422, "CsvInvalid", []string{"1|Email Address|did you mean EmailAddress?"}},
		"near miss, and rows that lack something": {
			"EmailAdress,UserName,Pasword,TargetPassword\nnonsense,a,x,y\nb@example.com,b,,y\nc@example.com,c,x,\n", 422, "CsvInvalid",
			[]string{"1|EmailAdress|did you mean EmailAddress?", "1|Pasword|did you mean Password?", "2|not an address", "3| Password|there is none", "4|TargetPassword|there is none"},
		},
		"a column is missing, which is told once": {
			"EmailAddress,UserName,TargetPassword\na@example.com,a,y\nb@example.com,b,y\n", 422, "CsvInvalid", []string{"1|Password|the column is missing"},
		},
		"semicolons":         {"EmailAddress;UserName;Password\na@example.com;a;x\n", 422, "CsvInvalid", []string{"1|semicolons", "2|TargetPassword|there is none"}},
		"not UTF-8":          {"EmailAddress,UserName,Password\n\xc4nn@example.com,a,x\n", 422, "CsvEncoding", []string{"2|looks like", "2|TargetPassword|there is none"}},
		"empty":              {"", 422, "CsvInvalid", []string{"|"}},
		"no target password": {"EmailAddress,UserName,Password\na@example.com,a,x\n", 422, "CsvInvalid", []string{"2|TargetPassword|there is none"}},
		"rows of every kind": {
			"EmailAddress,UserName,Password,TargetPassword\n" +
				"nonsense,a,x,y\n" +
				"b@example.com,,x,y\n" +
				"c@example.com,c,,y\n" +
				"d@example.com,d,x\n" +
				"ann@example.com,ann,x,y\n" +
				"f@example.com,f,x,y\n" +
				"F@example.com,f,x,y\n", 422, "CsvInvalid",
			[]string{"2|EmailAddress|not an address", "3|UserName|empty", "4| Password|there is none", "5|", `6|in the live batch "pilot"`, "8|EmailAddress|the same user as in line 7"},
		},
		"no password at all": {"EmailAddress,UserName,Password,TargetPassword\na@example.com,a,,\n", 422, "CsvInvalid", []string{"2| Password|there is none", "2|TargetPassword|there is none"}},
		"one pair of mailboxes by two addresses": {
			"EmailAddress,UserName,Password,TargetUserName,TargetPassword\na@example.com,x,x,Y,y\nb@example.com,X,x,y,y\nA@example.com,x,x,y,y\n", 422, "CsvInvalid",
			[]string{"3|TargetUserName|the same two mailboxes as in line 2", "4|EmailAddress|the same user as in line 2"},
		},
		"another batch's mailbox by another address": {
			"EmailAddress,UserName,Password,TargetUserName,TargetPassword\na@example.com,x,x,ANN@example.com,y\nb@example.com,x,x,,y\n", 409, "DuplicateInOtherBatch",
			[]string{`2|in the live batch "pilot"`},
		},
		"only mailboxes of another batch": {users, 409, "DuplicateInOtherBatch", []string{`2|"pilot"`, `3|"pilot"`, `4|"pilot"`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := e.upload(op, inDefault+"/batches", spec, "second.csv", tt.csv)
			p := a.json(t)
			if a.status != tt.status || p["code"] != tt.code || a.header.Get("Content-Type") != "application/problem+json" {
				t.Fatalf("got %d %s", a.status, a.body)
			}
			got := problems(p)
			if len(got) != len(tt.want) {
				t.Errorf("%d problems, want %d: %q", len(got), len(tt.want), got)
			}
			for _, want := range tt.want {
				if !slices.ContainsFunc(got, func(g string) bool { return says(g, want) }) {
					t.Errorf("no problem %q in %q", want, got)
				}
			}
			if p["remedy"] == "" {
				t.Error("no remedy")
			}
			if strings.Contains(p["detail"].(string), "line 0") {
				t.Errorf("a problem of the whole file has a line: %s", p["detail"])
			}
		})
	}
	e.as(op, "GET", inDefault+"/batches/second", nil, 404)
}

func TestAMailboxIsNotCopiedOntoItself(t *testing.T) {
	e := newEnv(t)
	op := e.token("default", migration.Operator)
	e.endpoints(e.owner, "default")
	const onto = `{"sourceEndpoint":"old","targetEndpoint":"old"}`
	file := "EmailAddress,UserName,Password,TargetUserName,TargetPassword\na@example.com,A@example.com,x,,y\nb@example.com,b,x,c,y\n"
	got := problems(e.upload(op, inDefault+"/batches?dryRun=true", onto, "onto.csv", file).json(t))
	if len(got) != 1 || !says(got[0], "2|UserName|the same mailbox") {
		t.Errorf("problems: %q", got)
	}
}

// problems spells each as LINE COLUMN REASON.
func problems(p map[string]any) []string {
	var out []string
	list, _ := p["problems"].([]any)
	for _, x := range list {
		m := x.(map[string]any)
		line, _ := m["line"].(float64)
		column, _ := m["column"].(string)
		out = append(out, fmt.Sprintf("%d %s %s", int(line), column, m["reason"]))
	}
	return out
}

func says(problem, want string) bool {
	parts := strings.Split(want, "|")
	if !strings.HasPrefix(problem, parts[0]) {
		return false
	}
	return !slices.ContainsFunc(parts[1:], func(part string) bool { return !strings.Contains(problem, part) })
}

func TestADryRunStoresNothing(t *testing.T) {
	e := newEnv(t)
	op := e.token("default", migration.Operator)
	e.endpoints(e.owner, "default")
	a := e.upload(op, inDefault+"/batches?dryRun=true", spec, "pilot.csv", users)
	if a.status != 200 || a.json(t)["mailboxes"] != 3.0 {
		t.Fatalf("dry run: %d %s", a.status, a.body)
	}
	e.as(op, "GET", inDefault+"/batches/pilot", nil, 404)

	e.upload(op, inDefault+"/batches", spec, "pilot.csv", users)
	a = e.upload(op, inDefault+"/batches/pilot/users?dryRun=true", "", "more.csv", users+"zoe@example.com,zoe,x,y\n")
	if got := a.json(t); a.status != 200 || got["created"] != 1.0 || got["unchanged"] != 3.0 {
		t.Errorf("dry run of more users: %d %s", a.status, a.body)
	}
	e.as(op, "GET", inDefault+"/batches/pilot/users/zoe@example.com", nil, 404)
}

func TestAFileAsAJSONString(t *testing.T) {
	e := newEnv(t)
	op := e.token("default", migration.Operator)
	e.endpoints(e.owner, "default")
	body := map[string]any{"name": "b", "sourceEndpoint": "old", "targetEndpoint": "new", "autoStart": true, "resyncInterval": "90s", "excludeFolders": []string{"#Junk#"}, "csv": users}
	b := e.as(op, "POST", inDefault+"/batches", body, 201)
	if b["status"] != "Syncing" || b["resyncInterval"] != "1m30s" || count(b, "queued") != 3 {
		t.Errorf("got %v", b)
	}
	for name, change := range map[string]map[string]any{
		"no file":           {"csv": nil},
		"unknown field":     {"colour": "red"},
		"bad interval":      {"resyncInterval": "soon"},
		"negative interval": {"resyncInterval": "-5s"},
		"unknown token":     {"excludeFolders": []string{"#Spam#"}},
		"unknown type":      {"type": "pop3"},
		"unknown deletions": {"deletions": "all"},
		"bad name":          {"name": "../x"},
		"wrong kind":        {"autoStart": "yes"},
	} {
		in := map[string]any{"name": "c"}
		for k, v := range body {
			if k != "name" {
				in[k] = v
			}
		}
		for k, v := range change {
			in[k] = v
		}
		if p := e.as(op, "POST", inDefault+"/batches", in, 422); p["code"] != "InvalidArgument" {
			t.Errorf("%s: %v", name, p)
		}
	}
}

func TestUsersAreAddedAndMended(t *testing.T) {
	e := newEnv(t)
	op := e.token("default", migration.Operator)
	e.endpoints(e.owner, "default")
	e.batch(op, "default")
	if a := e.upload(op, inDefault+"/batches/pilot/users", "", "pilot.csv", users); a.json(t)["unchanged"] != 3.0 {
		t.Errorf("the same file again: %d %s", a.status, a.body)
	}
	e.as(op, "POST", inDefault+"/batches/pilot/start", nil, 200)
	e.pass(migration.NewFault(migration.AuthFailed, migration.ScopeUser, migration.Source, "NO wrong password", nil))

	ann := e.as(op, "GET", inDefault+"/batches/pilot/users/ann@example.com", nil, 200)
	if ann["status"] != "NeedsCredentials" || ann["code"] != "AuthFailed" || ann["reason"] == "" || ann["remedy"] != migration.AuthFailed.Remedy() {
		t.Fatalf("rejected user: %v", ann)
	}
	if b := e.as(op, "GET", inDefault+"/batches/pilot", nil, 200); count(b, "needsCredentials") != 3 || b["status"] != "Failed" {
		t.Errorf("batch of rejected users: %v", b)
	}
	e.as(op, "POST", inDefault+"/batches/pilot/users/ann@example.com/credentials", map[string]any{}, 422)
	ann = e.as(op, "POST", inDefault+"/batches/pilot/users/ann%40example.com/credentials", map[string]any{"password": "better"}, 200)
	if ann["status"] != "Queued" || ann["code"] != "" {
		t.Errorf("new password: %v", ann)
	}

	more := "EmailAddress,UserName,Password,TargetPassword\nbob@example.com,bob,better,\neve@example.com,eve,,\nzoe@example.com,zoe,z,4\n"
	a := e.upload(op, inDefault+"/batches/pilot/users", "", "more.csv", more)
	if got := a.json(t); a.status != 200 || got["created"] != 1.0 || got["updated"] != 1.0 || got["unchanged"] != 1.0 {
		t.Fatalf("add users: %d %s", a.status, a.body)
	}
	if p := e.upload(op, inDefault+"/batches/pilot/users", "", "more.csv", "EmailAddress,UserName,Password\nnew@example.com,new,\n"); p.status != 422 || !strings.Contains(p.body, `"column":"Password","reason":"there is none`) {
		t.Errorf("a new user without a password: %d %s", p.status, p.body)
	}
	if b := e.as(op, "GET", inDefault+"/batches/pilot", nil, 200); count(b, "queued") != 3 || count(b, "needsCredentials") != 1 {
		t.Errorf("after mending: %v", b)
	}

	report := e.do(request{method: "GET", path: inDefault + "/batches/pilot/reports/errors", token: op})
	again := e.upload(op, inDefault+"/batches/pilot/users", "", "errors.csv", report.body)
	if got := again.json(t); again.status != 200 || got["unchanged"] != 1.0 {
		t.Errorf("the error report added again: %d %s of\n%s", again.status, again.body, report.body)
	}
	e.pass(nil)
	list := e.as(op, "GET", inDefault+"/batches/pilot/users?status=Synced&limit=2", nil, 200)
	if n := len(list["items"].([]any)); n != 2 {
		t.Fatalf("%d users on the first page: %v", n, list)
	}
	list = e.as(op, "GET", inDefault+"/batches/pilot/users?status=Synced&limit=2&cursor="+list["nextCursor"].(string), nil, 200)
	if n := len(list["items"].([]any)); n != 1 || list["nextCursor"] != "" {
		t.Errorf("last page: %v", list)
	}
}

func TestOneUser(t *testing.T) {
	e := newEnv(t)
	op := e.token("default", migration.Operator)
	e.endpoints(e.owner, "default")
	e.batch(op, "default")
	ann := inDefault + "/batches/pilot/users/ann@example.com"
	e.as(op, "POST", ann+"/retry", nil, 409)
	e.as(op, "POST", inDefault+"/batches/pilot/start", nil, 200)
	if u := e.as(op, "POST", ann+"/stop", nil, 200); u["status"] != "Stopped" {
		t.Errorf("stopped: %v", u)
	}
	e.as(op, "POST", ann+"/complete", nil, 409)
	if u := e.as(op, "POST", ann+"/retry", nil, 200); u["status"] != "Queued" {
		t.Errorf("retried: %v", u)
	}
	e.pass(nil)
	if u := e.as(op, "POST", ann+"/reset", nil, 200); u["emailAddress"] != "ann@example.com" {
		t.Errorf("reset: %v", u)
	}
	if u := e.as(op, "POST", ann+"/complete", nil, 200); u["status"] != "Completing" {
		t.Errorf("completing: %v", u)
	}
	e.pass(nil)
	if u := e.as(op, "GET", ann, nil, 200); u["status"] != "CompletedWithWarnings" {
		t.Errorf("completed: %v", u)
	}
	e.as(op, "POST", ann+"/retry", nil, 409)
	e.as(op, "POST", inDefault+"/batches", map[string]any{"name": "two", "sourceEndpoint": "old", "targetEndpoint": "new", "csv": strings.Split(users, "\n")[0] + "\nzoe@example.com,zoe,s1,t1\n"}, 201)
	e.as(op, "POST", ann+"/move", map[string]any{"to": "two"}, 409)
	if u := e.as(op, "POST", inDefault+"/batches/pilot/users/bob@example.com/move", map[string]any{"to": "two"}, 200); u["status"] != "Created" {
		t.Errorf("moved: %v", u)
	}
	e.as(op, "GET", inDefault+"/batches/pilot/users/bob@example.com", nil, 404)
	e.as(op, "GET", inDefault+"/batches/two/users/bob@example.com", nil, 200)
	e.as(op, "DELETE", ann, nil, 204)
	e.as(op, "GET", ann, nil, 404)
	e.as(op, "GET", inDefault+"/batches/pilot/users/nobody@example.com", nil, 404)
}

// TestUsersAreListedByWordsThatThereAre: a word that is none would list nobody, which an
// operator takes for good news.
func TestUsersAreListedByWordsThatThereAre(t *testing.T) {
	e := newEnv(t)
	op := e.token("default", migration.Operator)
	e.endpoints(e.owner, "default")
	e.batch(op, "default")
	users := inDefault + "/batches/pilot/users"
	for _, query := range []string{"?status=Created", "?status=created", "?status=CREATED"} {
		if n := len(e.as(op, "GET", users+query, nil, 200)["items"].([]any)); n == 0 {
			t.Errorf("%s lists nobody", query)
		}
	}
	e.as(op, "GET", users+"?code=authfailed", nil, 200)
	for _, query := range []string{"?status=nonsense", "?code=nonsense"} {
		if p := e.as(op, "GET", users+query, nil, 422); p["code"] != "InvalidArgument" || !strings.Contains(p["detail"].(string), "nonsense") {
			t.Errorf("%s: %v", query, p)
		}
	}
	e.as(op, "GET", inDefault+"/batches/pilot/items?code=nonsense", nil, 422)
}
