package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// catalogueCodes are those of the rules' section 10, also where nothing can say them yet.
var catalogueCodes = strings.Fields(`AuthFailed AuthorizationMissing ConnectionFailed TLSFailed CertificateInvalid Throttled
	BudgetExhausted QuotaExceeded TargetNotFound TargetNotPrepared DuplicateInOtherBatch AlreadyBeingMoved NotInScope SeatMissing
	SourceChanged FolderNameCollision MessageTooLarge MessageRejected MessageUnreadable TooManyBadItems MailboxOnHold
	NotAcceptedDomain NotReadyToRemove CsvEncoding CsvInvalid NeedsDecision Internal`)

// apiCodes are the API's own, which the rules do not list.
var apiCodes = []migration.Code{migration.NotFound, migration.Unauthorized, migration.Forbidden, migration.Conflict, migration.InvalidArgument}

var (
	quoted    = regexp.MustCompile("`([^`]+)`")
	namedTest = regexp.MustCompile(`^((?:pkg|cmd|test|deploy|bench)/[a-z0-9/]+)\.((?:Test|Fuzz|Benchmark|test)[A-Z]\w*)(?:/(.+))?$`)
	apiCall   = regexp.MustCompile(`^(GET|POST|PATCH|DELETE) (/[^?]*)`)
)

// ruleRow is a row of one of the tables in docs/rules.md.
type ruleRow struct{ section, rule, shown, test string }

func ruleRows(t *testing.T) (rows []ruleRow) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "rules.md"))
	if err != nil {
		t.Fatal(err)
	}
	section := ""
	for line := range strings.Lines(string(text)) {
		if title, is := strings.CutPrefix(line, "## "); is {
			section, _, _ = strings.Cut(title, ".")
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| rule |") || strings.HasPrefix(line, "| code |") {
			continue
		}
		if len(cells) != 3 {
			t.Errorf("a row of %d cells: %s", len(cells), line)
			continue
		}
		rows = append(rows, ruleRow{section, strings.TrimSpace(cells[0]), cells[1], cells[2]})
	}
	return rows
}

// TestRules: what docs/rules.md names is there: tests and their cases, commands with
// their flags, calls of the API; and no code of the catalogue is forgotten.
func TestRules(t *testing.T) {
	rows := ruleRows(t)
	paths := apiPaths(t)
	sources := map[string]string{} // of the tests, by package
	tests, codes := 0, []string{}
	for _, r := range rows {
		if r.section == "10" {
			codes = append(codes, r.rule)
		}
		named := 0
		for _, m := range quoted.FindAllStringSubmatch(r.test, -1) {
			checkNamedTest(t, sources, r, m[1])
			named++
		}
		tests += named
		if named == 0 && !strings.Contains(r.test, "**not built yet**") && !strings.Contains(r.test, "**no test yet**") {
			t.Errorf("section %s, %q: neither a test nor a word that there is none", r.section, r.rule)
		}
		for _, m := range quoted.FindAllStringSubmatch(r.shown, -1) {
			checkShown(t, paths, r, m[1])
		}
	}
	for _, code := range catalogueCodes {
		if !slices.Contains(codes, code) {
			t.Errorf("section 10 has no row %s", code)
		}
	}
	for _, code := range migration.Codes() {
		if !slices.Contains(codes, string(code)) && !slices.Contains(apiCodes, code) {
			t.Errorf("the catalogue has %s, section 10 has no row of it", code)
		}
	}
	if len(rows) < 100 || tests < 100 {
		t.Errorf("%d rows name %d tests: the page was not read", len(rows), tests)
	}
}

// checkNamedTest fails for a test, or a case of it, that is not in the tree.
func checkNamedTest(t *testing.T, sources map[string]string, r ruleRow, name string) {
	t.Helper()
	m := namedTest.FindStringSubmatch(name)
	if m == nil {
		t.Errorf("section %s, %q: %q is no test's name", r.section, r.rule, name)
		return
	}
	dir, function, which := m[1], m[2], m[3]
	source, read := sources[dir]
	if !read {
		files, err := filepath.Glob(filepath.Join("..", "..", dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			source += string(text)
		}
		sources[dir] = source
	}
	switch {
	case !strings.Contains(source, "\nfunc "+function+"("):
		t.Errorf("section %s, %q: there is no %s in %s", r.section, r.rule, function, dir)
	case strings.HasPrefix(function, "test") && !strings.Contains(source, ", "+function+"}"):
		t.Errorf("section %s, %q: %s is in no suite of %s", r.section, r.rule, function, dir)
	case which != "" && !strings.Contains(source, `"`+which+`"`):
		t.Errorf("section %s, %q: %s has no case %q", r.section, r.rule, function, which)
	}
}

// checkShown fails for a command, a flag or a call of the API that there is not.
func checkShown(t *testing.T, paths map[string]map[string]any, r ruleRow, call string) {
	t.Helper()
	if m := apiCall.FindStringSubmatch(call); m != nil {
		if paths[m[2]][strings.ToLower(m[1])] == nil {
			t.Errorf("section %s, %q: the API has no %s", r.section, r.rule, call)
		}
		return
	}
	line, is := strings.CutPrefix(call, "mailhaul ")
	if !is {
		return
	}
	if _, err := commandOf(line); err != nil {
		t.Errorf("section %s, %q: %q: %v", r.section, r.rule, call, err)
	}
}

func apiPaths(t *testing.T) map[string]map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Paths
}
