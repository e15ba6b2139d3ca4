package httpapi_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/httpapi"
)

// The OpenAPI document, as far as clients are made from it.
type (
	openDoc struct {
		OpenAPI    string
		Paths      map[string]map[string]docOperation
		Components struct{ Schemas map[string]*docSchema }
	}
	docOperation struct {
		OperationID string
		Parameters  []struct {
			Name, In string
			Required bool
			Schema   *docSchema
		}
		RequestBody *struct{ Content map[string]docContent }
		Responses   map[string]struct{ Content map[string]docContent }
	}
	docContent struct{ Schema *docSchema }
	docSchema  struct {
		Ref                  string `json:"$ref"`
		Type                 any
		Format               string
		Properties           map[string]*docSchema
		Required             []string
		Items                *docSchema
		AdditionalProperties json.RawMessage
		OneOf, AnyOf, AllOf  []*docSchema
	}
)

// openAPI is the document as it is served.
var openAPI = sync.OnceValue(func() (s openDoc) {
	w := httptest.NewRecorder()
	httpapi.New(httpapi.Config{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
		panic(err)
	}
	return s
})

// TestClientsCanBeGenerated: the document has what generators rely on, and nothing of
// what they stumble over. test/clients generates some.
func TestClientsCanBeGenerated(t *testing.T) {
	s := openAPI()
	if !strings.HasPrefix(s.OpenAPI, "3.1.") {
		t.Errorf("the document is of OpenAPI %s", s.OpenAPI)
	}
	ids := map[string]string{}
	name := regexp.MustCompile(`^[a-z][a-zA-Z]+$`)
	for path, methods := range s.Paths {
		for method, o := range methods {
			where := method + " " + path
			if other := ids[o.OperationID]; other != "" || !name.MatchString(o.OperationID) {
				t.Errorf("%s is called %q, as is %q", where, o.OperationID, other)
			}
			ids[o.OperationID] = where
			var placed []string
			for _, p := range o.Parameters {
				if p.In == "path" && p.Required {
					placed = append(placed, "{"+p.Name+"}")
				}
				s.suits(t, where+" "+p.Name, p.Schema, false)
			}
			if want := regexp.MustCompile(`\{[^}]*\}`).FindAllString(path, -1); !slices.Equal(slices.Sorted(slices.Values(placed)), slices.Sorted(slices.Values(want))) {
				t.Errorf("%s has the path parameters %v", where, placed)
			}
			s.bodiesSuit(t, where, o)
		}
	}
	for name, schema := range s.Components.Schemas {
		s.suits(t, name, schema, true)
	}
}

func (s openDoc) bodiesSuit(t *testing.T, where string, o docOperation) {
	t.Helper()
	if o.RequestBody != nil {
		for kind, c := range o.RequestBody.Content {
			s.suits(t, where+" asks "+kind, c.Schema, false)
		}
		if form, ok := o.RequestBody.Content["multipart/form-data"]; ok {
			if file := s.resolve(form.Schema).Properties["csv"]; file == nil || file.Format != "binary" {
				t.Errorf("%s: the form has no file", where)
			}
		}
	}
	good := false
	for status, r := range o.Responses {
		good = good || strings.HasPrefix(status, "2")
		for kind, c := range r.Content {
			s.suits(t, where+" answers "+kind, c.Schema, false)
		}
	}
	if _, problem := o.Responses["default"]; !good || !problem {
		t.Errorf("%s: no answer, or no problem", where)
	}
}

// suits looks at one form. Only a component has properties: what is described in
// place gets a made-up name in each client.
func (s openDoc) suits(t *testing.T, where string, x *docSchema, component bool) {
	t.Helper()
	switch kinds, several := []any(nil), false; {
	case x == nil:
		t.Errorf("%s: of no form", where)
	case x.Ref != "":
		if s.resolve(x) == nil {
			t.Errorf("%s: %s is not there", where, x.Ref)
		}
	case len(x.OneOf)+len(x.AnyOf)+len(x.AllOf) > 0:
		t.Errorf("%s: one of several forms", where)
	default:
		if kinds, several = x.Type.([]any); several && (len(kinds) != 2 || kinds[1] != "null") {
			t.Errorf("%s: of the types %v", where, kinds)
		}
		if !several && fmt.Sprint(x.Type) == "<nil>" && !component && !strings.HasSuffix(where, " values") {
			t.Errorf("%s: of no type", where)
		}
		if len(x.Properties) > 0 && !component {
			t.Errorf("%s: an object without a name", where)
		}
		for name, p := range x.Properties {
			s.suits(t, where+"."+name, p, false)
		}
		if x.Items != nil {
			s.suits(t, where+" items", x.Items, false)
		} else if x.Type == "array" {
			t.Errorf("%s: a list of anything", where)
		}
		var values *docSchema
		if json.Unmarshal(x.AdditionalProperties, &values) == nil && values != nil {
			s.suits(t, where+" values", values, false)
		}
	}
}

func (s openDoc) resolve(x *docSchema) *docSchema {
	if name, ok := strings.CutPrefix(x.Ref, "#/components/schemas/"); ok {
		return s.Components.Schemas[name]
	}
	return x
}

// keepsTo fails the test where an answer in JSON is not of the form that the document
// has for it: a generated client would not understand it.
func (s openDoc) keepsTo(t *testing.T, method, path string, a answer) {
	t.Helper()
	o, ok := s.operation(method, path)
	kind, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	if !ok || !strings.HasSuffix(kind, "json") {
		return
	}
	r, told := o.Responses[fmt.Sprint(a.status)]
	if !told {
		r = o.Responses["default"]
	}
	form, ok := r.Content[kind]
	if !ok {
		t.Errorf("%s %s answers %d with %s, which the document does not tell", method, path, a.status, kind)
		return
	}
	var v any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Errorf("%s %s answers %d: %v", method, path, a.status, err)
		return
	}
	for _, wrong := range s.differs(form.Schema, v, "") {
		t.Errorf("%s %s answers %d: %s, unlike the document", method, path, a.status, wrong)
	}
}

// operation finds that of a request: the one whose words, but for parameters, are its.
func (s openDoc) operation(method, path string) (docOperation, bool) {
	path, _, _ = strings.Cut(path, "?")
	words := strings.Split(path, "/")
	for template, methods := range s.Paths {
		same := func(word, template string) bool { return word == template || strings.HasPrefix(template, "{") }
		if o, ok := methods[strings.ToLower(method)]; ok && slices.EqualFunc(words, strings.Split(template, "/"), same) {
			return o, true
		}
	}
	return docOperation{}, false
}

// differs tells what of v is not of the form x.
func (s openDoc) differs(x *docSchema, v any, at string) (wrong []string) {
	x = s.resolve(x)
	if x.Type == nil {
		return nil
	}
	if kind := kindOfValue(v); !strings.Contains(fmt.Sprint(x.Type), kind) && !(kind == "integer" && strings.Contains(fmt.Sprint(x.Type), "number")) {
		return []string{fmt.Sprintf("%s is %s, not %v", at, kind, x.Type)}
	}
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			wrong = append(wrong, s.differs(x.Items, item, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case map[string]any:
		for _, name := range x.Required {
			if _, ok := v[name]; !ok {
				wrong = append(wrong, at+"."+name+" is missing")
			}
		}
		var values *docSchema
		open := json.Unmarshal(x.AdditionalProperties, &values) == nil && values != nil
		for name, value := range v {
			switch p := x.Properties[name]; {
			case p != nil:
				wrong = append(wrong, s.differs(p, value, at+"."+name)...)
			case open:
				wrong = append(wrong, s.differs(values, value, at+"."+name)...)
			case string(x.AdditionalProperties) == "false":
				wrong = append(wrong, at+"."+name+" is not told")
			}
		}
	}
	return wrong
}

func kindOfValue(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case float64:
		if v == math.Trunc(v) {
			return "integer"
		}
		return "number"
	}
	return "object"
}
