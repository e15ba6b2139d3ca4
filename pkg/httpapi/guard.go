package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// weight is what kind of request this is, by its path alone: it is decided before the
// router has seen it.
type weight struct {
	upload, slow, stream bool
}

func weigh(r *http.Request) weight {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	last := parts[len(parts)-1]
	post := r.Method == http.MethodPost
	w := weight{
		upload: post && (len(parts) == 4 && last == "batches" || len(parts) == 6 && last == "users") ||
			len(parts) == 6 && last == "scope", // 10,000 names can be more than others send
		stream: r.Method == http.MethodGet && len(parts) == 6 && last == "events",
	}
	w.slow = w.upload || post && (len(parts) == 4 && last == "endpoints" || last == "test" || last == "discover" || last == "rotate") ||
		len(parts) == 7 && parts[5] == "reports" || r.Method == http.MethodDelete
	return w
}

// started tells whether an answer has begun.
type started struct {
	http.ResponseWriter
	status int
}

func (s *started) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *started) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (s *started) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// guard sets the headers of every answer, bounds its time, and catches panics.
func (a *api) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := a.Now()
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		out := &started{ResponseWriter: w}
		ctx := r.Context()
		if weight := weigh(r); !weight.stream {
			limit := answerWithin
			if weight.slow {
				limit = answerLong
			}
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, limit)
			defer cancel()
			// Not every ResponseWriter has deadlines; those of net/http do.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit + readUpload))
		}
		defer func() {
			if p := recover(); p != nil {
				a.panicked(out, r, p)
			}
			a.Log.Debug("request answered", zap.String("method", r.Method), zap.Int("status", out.status), zap.Duration("took", a.Now().Sub(begun)))
		}()
		next.ServeHTTP(out, r.WithContext(ctx))
	})
}

// panicked answers a panic where nothing was written yet, and cuts the connection
// where something was: half an answer must not look like a whole one.
func (a *api) panicked(out *started, r *http.Request, p any) {
	if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it the same way
		panic(p)
	}
	if r.Context().Err() == nil {
		a.Log.Error("request panicked", zap.String("method", r.Method), zap.Any("panic", p), zap.Stack("stack"))
	}
	if out.status != 0 {
		panic(http.ErrAbortHandler)
	}
	writeProblem(out, a.internal(fmt.Errorf("panic: %v", p)))
}

// slurp reads the whole body within bounds of size and time, so that what comes after
// it depends on no client's line. Uploads wait for one another.
func (a *api) slurp(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit, within := int64(maxBody), readBody
		if weigh(r).upload {
			limit, within = maxUpload, readUpload
			select {
			case a.uploads <- struct{}{}:
				defer func() { <-a.uploads }()
			case <-r.Context().Done():
				writeProblem(w, a.problem(r.Context().Err()))
				return
			}
		}
		// The deadline has to be gone again before the handler runs: net/http watches the
		// connection meanwhile, and would take the deadline for the client's end.
		line := http.NewResponseController(w)
		_ = line.SetReadDeadline(time.Now().Add(within))
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
		if err != nil {
			writeProblem(w, unread(err, limit))
			return
		}
		_ = line.SetReadDeadline(time.Time{})
		if err := legible(r, body); err != nil {
			writeProblem(w, err)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), bodyKey{}, body)))
	})
}

// legible refuses what cannot be a text in path, query or JSON: bytes that are not
// UTF-8, and NUL. PostgreSQL has no such texts, so no name is one, and no question
// after one has to go there.
func legible(r *http.Request, body []byte) *client.Problem {
	text := func(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
	query, err := url.ParseQuery(r.URL.RawQuery)
	good := err == nil && text(r.URL.Path)
	for name, values := range query {
		good = good && text(name) && !slices.ContainsFunc(values, func(v string) bool { return !text(v) })
	}
	if !good {
		return problemOf(http.StatusBadRequest, migration.InvalidArgument, "the address holds something that is no text in UTF-8")
	}
	// A CSV file has an encoding of its own.
	if kind := r.Header.Get("Content-Type"); !weigh(r).upload || strings.HasPrefix(kind, "application/json") {
		if !utf8.Valid(body) { // RFC 8259 section 8.1
			return problemOf(http.StatusBadRequest, migration.InvalidArgument, "the body is not UTF-8")
		}
	}
	return nil
}

type bodyKey struct{}

// wholeBody is what slurp has read.
func wholeBody(ctx context.Context) []byte {
	body, _ := ctx.Value(bodyKey{}).([]byte)
	return body
}

func unread(err error, limit int64) *client.Problem {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return problemOf(http.StatusRequestEntityTooLarge, migration.InvalidArgument, fmt.Sprintf("the request is larger than %d bytes", limit))
	}
	return problemOf(http.StatusBadRequest, migration.InvalidArgument, "the request broke off, or came too slowly")
}
