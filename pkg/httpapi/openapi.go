package httpapi

import (
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/report"
)

const bearerScheme = "token"

// humaConfig is huma without its documentation page (which loads scripts from
// elsewhere), its schema links, and its own form of errors.
func (a *api) humaConfig() huma.Config {
	c := huma.DefaultConfig("Mailhaul", a.Version)
	c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", nil
	c.Info.Description = "Moves mailboxes between mail systems and keeps them in step until cutover."
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{bearerScheme: {
		Type: "http", Scheme: "bearer", Description: "The names in an operation's requirement are the least role that its token needs.",
	}}
	c.Security = []map[string][]string{{bearerScheme: {}}}
	c.Transformers = []huma.Transformer{func(_ huma.Context, _ string, v any) (any, error) {
		if e, ok := v.(*huma.ErrorModel); ok {
			return validation(e), nil
		}
		return v, nil
	}}
	return c
}

// idempotencyKey is read by once, before huma.
var idempotencyKey = huma.Param{
	Name: "Idempotency-Key", In: "header",
	Description: "makes it safe to send the request again: the same answer comes back, for 24 hours",
	Schema:      &huma.Schema{Type: huma.TypeString, MaxLength: new(maxKey)},
}

// The options of route: what an operation answers.

func status(code int) func(*huma.Operation) {
	return func(op *huma.Operation) { op.DefaultStatus = code }
}

// goneOrSoon is 204, or 202 while a pass is ending.
func goneOrSoon(op *huma.Operation) {
	op.DefaultStatus = http.StatusNoContent
	op.Responses = map[string]*huma.Response{
		"202": {Description: "Accepted: it is gone as soon as the passes under way have ended"},
		"204": {Description: "No Content: it is gone"},
	}
}

// streams is an answer that is no JSON of huma's.
func streams(contentTypes ...string) func(*huma.Operation) {
	return func(op *huma.Operation) {
		content := map[string]*huma.MediaType{}
		for _, t := range contentTypes {
			content[t] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
		}
		op.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: content}}
	}
}

// describeProblems writes the form of our errors into the OpenAPI document, in place
// of huma's.
func (a *api) describeProblems() {
	doc := a.huma.OpenAPI()
	problem := &huma.Response{
		Description: "A problem",
		Content: map[string]*huma.MediaType{
			"application/problem+json": {Schema: doc.Components.Schemas.Schema(reflect.TypeFor[client.Problem](), true, "Problem")},
		},
	}
	for _, path := range doc.Paths {
		for _, op := range []*huma.Operation{path.Get, path.Post, path.Put, path.Patch, path.Delete} {
			if op == nil {
				continue
			}
			for code, r := range op.Responses {
				if r.Content["application/problem+json"] != nil {
					delete(op.Responses, code)
				}
			}
			op.Responses["default"] = problem
		}
	}
	delete(doc.Components.Schemas.Map(), "ErrorModel")
	delete(doc.Components.Schemas.Map(), "ErrorDetail")
}

// describeUploads writes the forms of an upload and its answers into the OpenAPI
// document, after the routes are made: huma would hold every body against the first
// schema it finds.
func (a *api) describeUploads(create, add string) {
	doc := a.huma.OpenAPI()
	schema := doc.Components.Schemas.Schema
	spec := schema(reflect.TypeFor[uploadJSON](), true, "")
	form := schema(reflect.TypeFor[uploadForm](), true, "")
	for _, path := range []string{create, add} {
		op := doc.Paths[path].Post
		op.Description = "The body is multipart/form-data with the parts spec (JSON) and csv (a file), or JSON: the spec with the file " +
			"as a string in csv, or the file alone as text/csv. Where users are added, only encoding and allowUnknownColumns of the spec count."
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json": {Schema: spec},
			"text/csv":         {Schema: &huma.Schema{Type: huma.TypeString}},
			"multipart/form-data": {Schema: form, Encoding: map[string]*huma.Encoding{
				"spec": {ContentType: "application/json"}, "csv": {ContentType: "text/csv"},
			}},
		}}
	}
	answer := func(description string, t reflect.Type) *huma.Response {
		return &huma.Response{Description: description, Content: map[string]*huma.MediaType{"application/json": {Schema: schema(t, true, "")}}}
	}
	answers := doc.Paths[create].Post.Responses
	answers["201"] = answer("Created", reflect.TypeFor[client.Batch]())
	answers["200"] = answer("OK, of a dry run", reflect.TypeFor[client.DryRun]())
}

// describeReports writes the words that a report is asked for with, and its form as JSON.
func (a *api) describeReports(path string) {
	doc := a.huma.OpenAPI()
	op := doc.Paths[path].Get
	words := map[string][]any{"format": {string(report.CSV), string(report.JSON), string(report.HTML)}}
	for _, kind := range report.Kinds {
		words["report"] = append(words["report"], string(kind))
	}
	for _, p := range op.Parameters {
		if words[p.Name] != nil {
			told := *p.Schema // what a request is held against stays: control refuses other words, with a reason
			told.Enum, p.Schema = words[p.Name], &told
		}
	}
	op.Responses["200"].Content["application/json"].Schema = doc.Components.Schemas.Schema(reflect.TypeFor[client.Report](), true, "")
}
