package app

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/config"
	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/telemetry"
)

// check is one thing that a process needs to be ready.
type check struct {
	name string
	ask  func(ctx context.Context) error
}

// probes serves /livez, /readyz and /metrics.
type probes struct {
	checks  []check
	metrics *telemetry.Metrics
	// allowed says whether a request may see metrics and the details of readiness.
	allowed func(r *http.Request) bool
	// draining is closed when the process ends, or an operator drained it: it is alive,
	// and not ready.
	draining <-chan struct{}
	log      *zap.Logger
}

const checkTime = 3 * time.Second

func (p *probes) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", p.ready)
	metrics := p.metrics.Handler()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if !p.allowed(r) {
			refuse(w)
			return
		}
		metrics.ServeHTTP(w, r)
	})
}

func refuse(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="mailhaul"`)
	http.Error(w, "this needs an owner token here, or MAILHAUL_METRICS_LISTEN", http.StatusUnauthorized)
}

func (p *probes) ready(w http.ResponseWriter, r *http.Request) {
	verbose := r.URL.Query().Has("verbose")
	if verbose && !p.allowed(r) {
		refuse(w)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), checkTime)
	defer cancel()
	code, short, detail := http.StatusOK, "ok\n", strings.Builder{}
	for i, err := range p.askAll(ctx) {
		if err != nil {
			code, short = http.StatusServiceUnavailable, "not ready\n"
			fmt.Fprintf(&detail, "%s: not ready\n", p.checks[i].name)
			p.log.Warn("not ready", zap.String("check", p.checks[i].name), zap.Error(err))
			continue
		}
		fmt.Fprintf(&detail, "%s: ok\n", p.checks[i].name)
	}
	select {
	case <-p.draining:
		code, short = http.StatusServiceUnavailable, "draining\n"
		detail.WriteString("draining\n")
	default:
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	if verbose {
		short = detail.String()
	}
	_, _ = w.Write([]byte(short))
}

// askAll asks all at once: one that does not answer must not cost the others their
// time, and be told of them too.
func (p *probes) askAll(ctx context.Context) []error {
	problems := make([]error, len(p.checks))
	var all sync.WaitGroup
	for i, c := range p.checks {
		all.Go(func() { problems[i] = c.ask(ctx) })
	}
	all.Wait()
	return problems
}

// tokens is what judging an owner's token needs of the store.
type tokens interface {
	TokenByHash(ctx context.Context, hash []byte) (migration.Token, error)
	CountTokens(ctx context.Context) (int, error)
}

// ownersOnly allows everybody on a loopback listener, owners elsewhere.
func ownersOnly(h config.HTTP, store tokens, bootstrap config.Secret) func(r *http.Request) bool {
	if config.Loopback(h.Listen) {
		return func(*http.Request) bool { return true }
	}
	return func(r *http.Request) bool {
		scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || value == "" {
			return false
		}
		hash := control.HashToken(strings.TrimSpace(value))
		t, err := store.TokenByHash(r.Context(), hash)
		if err == nil {
			return t.Role == migration.Owner && t.RevokedAt.IsZero() && (t.ExpiresAt.IsZero() || time.Now().Before(t.ExpiresAt))
		}
		if bootstrap.Empty() || subtle.ConstantTimeCompare(hash, control.HashToken(bootstrap.Reveal())) != 1 {
			return false
		}
		n, err := store.CountTokens(r.Context())
		return err == nil && n == 0
	}
}

// openProbes is a handler of the probes alone that asks for no token: for
// MAILHAUL_METRICS_LISTEN, which the operator keeps to himself.
func (p *probes) openProbes() http.Handler {
	open := *p
	open.allowed = func(*http.Request) bool { return true }
	mux := http.NewServeMux()
	open.register(mux)
	return mux
}
