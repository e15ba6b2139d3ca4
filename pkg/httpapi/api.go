package httpapi

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Bounds of what one request, and all of them together, may cost.
const (
	maxBody       = 1 << 20
	maxUpload     = 32 << 20 // a CSV of 10 MB, also as a JSON string
	uploadsAtOnce = 4
	streamsAtOnce = 256

	readBody     = 15 * time.Second
	readUpload   = 2 * time.Minute
	answerWithin = 30 * time.Second
	// answerLong is for uploads, endpoint tests, reports and key rotation.
	answerLong = 5 * time.Minute
)

// Config is what the API stands on. Bootstrap, Version, Log, Now, EventsEvery and
// Closing may be left zero.
type Config struct {
	Control *control.Control
	Store   Store
	// Bootstrap is an owner token that counts while the store has none.
	Bootstrap migration.Secret
	Version   string
	Log       *zap.Logger
	Now       func() time.Time
	// EventsEvery is how often a stream of events looks for new ones; 0: each second.
	EventsEvery time.Duration
	// Closing ends the streams of events when it is closed, so that the server can
	// shut down.
	Closing <-chan struct{}
}

type api struct {
	Config
	huma    huma.API
	mux     *http.ServeMux
	uploads chan struct{}
	streams chan struct{}
}

// New returns the handler of /v1/ and /openapi.json.
func New(c Config) http.Handler {
	a := &api{
		Config: c, mux: http.NewServeMux(),
		uploads: make(chan struct{}, uploadsAtOnce), streams: make(chan struct{}, streamsAtOnce),
	}
	if a.Log == nil {
		a.Log = zap.NewNop()
	}
	if a.Now == nil {
		a.Now = func() time.Time { return time.Now().UTC() }
	}
	if a.EventsEvery <= 0 {
		a.EventsEvery = time.Second
	}
	if a.Version == "" {
		a.Version = "dev"
	}
	a.huma = humago.New(a.mux, a.humaConfig())
	a.mux.HandleFunc("/", a.noRoute)
	a.orgRoutes()
	a.endpointRoutes()
	a.batchRoutes()
	a.userRoutes()
	a.reportRoutes()
	a.eventRoutes()
	a.describeProblems()
	v1 := a.guard(a.authenticate(a.slurp(a.once(a.mux))))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1" || strings.HasPrefix(r.URL.Path, "/v1/") {
			v1.ServeHTTP(w, r)
			return
		}
		a.mux.ServeHTTP(w, r)
	})
}

// humaConfig is huma without its documentation page (which loads scripts from
// elsewhere), its schema links, and its own form of errors.
func (a *api) humaConfig() huma.Config {
	c := huma.DefaultConfig("Mailhaul", a.Version)
	c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", nil
	c.Info.Description = "Moves mailboxes between mail systems and keeps them in step until cutover."
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	c.Security = []map[string][]string{{"token": {}}}
	c.Transformers = []huma.Transformer{func(_ huma.Context, _ string, v any) (any, error) {
		if e, ok := v.(*huma.ErrorModel); ok {
			return validation(e), nil
		}
		return v, nil
	}}
	return c
}

// describeProblems writes the form of our errors into the OpenAPI document.
func (a *api) describeProblems() {
	doc := a.huma.OpenAPI()
	schema := doc.Components.Schemas.Schema(reflect.TypeFor[client.Problem](), true, "Problem")
	for _, path := range doc.Paths {
		for _, op := range []*huma.Operation{path.Get, path.Post, path.Patch, path.Delete} {
			if op == nil {
				continue
			}
			for _, r := range op.Responses {
				if content := r.Content["application/problem+json"]; content != nil {
					content.Schema = schema
				}
			}
		}
	}
}

// route registers one operation.
func route[I, O any](a *api, method, path, id, summary string, h func(context.Context, control.Actor, *I) (*O, error), options ...func(*huma.Operation)) {
	op := huma.Operation{
		Method: method, Path: path, OperationID: id, Summary: summary,
		// slurp has read the body already, within its bounds.
		MaxBodyBytes: -1, BodyReadTimeout: -1,
	}
	for _, o := range options {
		o(&op)
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, actor(ctx), in)
		if err != nil {
			return nil, a.problem(err)
		}
		return out, nil
	})
}

func status(code int) func(*huma.Operation) {
	return func(op *huma.Operation) { op.DefaultStatus = code }
}

// noRoute answers paths and methods that do not exist.
func (a *api) noRoute(w http.ResponseWriter, r *http.Request) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := a.mux.Handler(other); pattern != "/" && pattern != "" {
			w.Header().Add("Allow", method)
		}
	}
	if w.Header().Get("Allow") != "" {
		writeProblem(w, problemOf(http.StatusMethodNotAllowed, migration.InvalidArgument, "this path has no method "+migration.Clean(r.Method)))
		return
	}
	writeProblem(w, problemOf(http.StatusNotFound, migration.NotFound, "there is no such path"))
}
