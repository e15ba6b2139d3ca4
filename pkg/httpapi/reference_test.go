package httpapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

var update = flag.Bool("update", false, "write docs/api.md and docs/openapi.json")

//go:embed testdata/api.md.tmpl
var referenceTemplate string

// TestReference: docs/api.md and docs/openapi.json say what the API says now. With
// -update they are written.
func TestReference(t *testing.T) {
	w := httptest.NewRecorder()
	New(Config{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, bytes.TrimSpace(w.Body.Bytes()), "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	var doc document
	if err := json.Unmarshal(pretty.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	doc.complain(t)
	var page bytes.Buffer
	if err := template.Must(template.New("api").Funcs(doc.funcs()).Parse(referenceTemplate)).Execute(&page, doc); err != nil {
		t.Fatal(err)
	}
	for name, now := range map[string][]byte{"api.md": page.Bytes(), "openapi.json": pretty.Bytes()} {
		path := filepath.Join("..", "..", "docs", name)
		if *update {
			if err := os.WriteFile(path, now, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, now) {
			t.Errorf("docs/%s is not what the API says now (%v): make docs", name, err)
		}
	}
}

// The part of an OpenAPI document that the reference shows.
type (
	document struct {
		Paths      map[string]map[string]operation
		Components struct{ Schemas map[string]schema }
	}
	operation struct {
		Method, Path, OperationID, Summary, Description string
		Parameters                                      []struct {
			Name, In, Description string
			Schema                schema
		}
		RequestBody struct {
			Required bool
			Content  map[string]content
		}
		Responses map[string]struct {
			Description string
			Content     map[string]content
		}
		Security []map[string][]string
	}
	content struct{ Schema schema }
	schema  struct {
		Ref                  string `json:"$ref"`
		Type                 any
		Format, Description  string
		Properties           map[string]schema
		Required             []string
		Items                *schema
		AdditionalProperties json.RawMessage
		Default              any
		Minimum, Maximum     *int
		MaxLength            *int
		WriteOnly            bool
	}
)

func (d document) funcs() template.FuncMap {
	return template.FuncMap{
		"operations": d.operations, "type": typeOf, "fields": fields, "bounds": bounds, "kinds": eventKinds,
		"codes": migration.Codes,
		"status": func(c migration.Code) string {
			if s, ok := statuses[c]; ok {
				return strconv.Itoa(s)
			}
			return ""
		},
		"limits": func() map[string]any {
			return map[string]any{
				"body": maxBody >> 20, "upload": maxUpload >> 20, "read": duration(readBody), "readUpload": duration(readUpload),
				"answer": duration(answerWithin), "answerLong": duration(answerLong), "beat": duration(heartbeat), "streams": streamsAtOnce, "key": maxKey, "kept": keptFor.Hours(),
			}
		},
		"lower": strings.ToLower,
		"has":   func(s, part string) bool { return strings.HasPrefix(s, part) },
	}
}

// operations are all, by path, then in the order in which one uses them.
func (d document) operations() (out []operation) {
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range []string{"post", "get", "put", "patch", "delete"} {
			if o, ok := d.Paths[path][method]; ok {
				o.Method, o.Path = strings.ToUpper(method), path
				out = append(out, o)
			}
		}
	}
	return out
}

// Role is the least that an operation needs.
func (o operation) Role() string { return o.Security[0][bearerScheme][0] }

type field struct {
	Name     string
	Schema   schema
	Required bool
}

// fields are an object's: the required ones as they are declared, then the others.
func fields(s schema) (out []field) {
	for _, name := range s.Required {
		out = append(out, field{name, s.Properties[name], true})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if !slices.Contains(s.Required, name) {
			out = append(out, field{name, s.Properties[name], false})
		}
	}
	return out
}

// typeOf spells a type, with a link to an object's section.
func typeOf(s schema) string {
	name := strings.TrimPrefix(s.Ref, "#/components/schemas/")
	item, isPage := strings.CutPrefix(name, "Page")
	var values schema
	kind, null := kindOf(s.Type)
	switch {
	case isPage:
		return "page of " + typeOf(schema{Ref: item})
	case name != "":
		return fmt.Sprintf("[%s](#%s)", name, strings.ToLower(name))
	case s.Items != nil:
		kind = "list of " + typeOf(*s.Items)
	case json.Unmarshal(s.AdditionalProperties, &values) == nil && values.Type != nil:
		kind = "object of " + typeOf(values)
	case s.Format == "date-time":
		kind = "time"
	}
	return kind + null
}

func kindOf(t any) (kind, null string) {
	if several, ok := t.([]any); ok {
		return fmt.Sprint(several[0]), " or null"
	}
	return fmt.Sprint(t), ""
}

// bounds is what there is to say of a value beside its type.
func bounds(s schema) string {
	var out []string
	if s.Default != nil {
		out = append(out, fmt.Sprintf("default %v", s.Default))
	}
	if s.Minimum != nil && s.Maximum != nil {
		out = append(out, fmt.Sprintf("%d to %d", *s.Minimum, *s.Maximum))
	}
	if s.MaxLength != nil {
		out = append(out, fmt.Sprintf("at most %d characters", *s.MaxLength))
	}
	if s.WriteOnly {
		out = append(out, "never told")
	}
	if len(out) == 0 {
		return ""
	}
	return " (" + strings.Join(out, ", ") + ")"
}

// eventKinds are those that the code writes.
func eventKinds() ([]string, error) {
	kinds := map[string]bool{}
	literal := regexp.MustCompile(`"((?:batch|user|endpoint|org|token|vault)\.[a-zA-Z]+)"`)
	for _, pkg := range []string{"control", "pass"} {
		files, err := filepath.Glob(filepath.Join("..", pkg, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, m := range literal.FindAllSubmatch(source, -1) {
				kinds[string(m[1])] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(kinds)), nil
}

// complain fails the test for whatever the document leaves unexplained.
func (d document) complain(t *testing.T) {
	for _, o := range d.operations() {
		if o.Summary == "" {
			t.Errorf("%s has no summary", o.OperationID)
		}
		for _, p := range o.Parameters {
			if p.Description == "" {
				t.Errorf("%s: the parameter %s has no doc", o.OperationID, p.Name)
			}
		}
	}
	for name, s := range d.Components.Schemas {
		for _, f := range fields(s) {
			if f.Schema.Description == "" {
				t.Errorf("%s: the field %s has no doc", name, f.Name)
			}
		}
	}
	for _, s := range migration.UserStatuses {
		if told := d.Components.Schemas["User"].Properties["status"].Description; !strings.Contains(told, string(s)) {
			t.Errorf("the doc of a user's status lacks %s", s)
		}
	}
}
