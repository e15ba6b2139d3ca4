package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"go.uber.org/zap"

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
	a.fleetRoutes()
	a.reportRoutes()
	a.mailRoutes()
	a.webhookRoutes()
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

// route registers one operation. The role is what package control asks of the actor;
// it is only told here.
func route[I, O any](a *api, role migration.Role, method, path, id, summary string, h func(context.Context, control.Actor, *I) (*O, error), options ...func(*huma.Operation)) {
	op := huma.Operation{
		Method: method, Path: path, OperationID: id, Summary: summary,
		Security: []map[string][]string{{bearerScheme: {string(role)}}},
		// slurp has read the body already, within its bounds.
		MaxBodyBytes: -1, BodyReadTimeout: -1,
	}
	if method == http.MethodPost {
		op.Parameters = []*huma.Param{&idempotencyKey}
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

// noRoute answers paths and methods that do not exist.
func (a *api) noRoute(w http.ResponseWriter, r *http.Request) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
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
