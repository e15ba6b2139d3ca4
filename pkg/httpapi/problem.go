package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/store"
)

// statuses are the HTTP statuses of codes; a code that is not here is 422: the request
// was understood, and cannot be done as it is.
var statuses = map[migration.Code]int{
	migration.NotFound:              http.StatusNotFound,
	migration.Unauthorized:          http.StatusUnauthorized,
	migration.Forbidden:             http.StatusForbidden,
	migration.Conflict:              http.StatusConflict,
	migration.DuplicateInOtherBatch: http.StatusConflict,
	migration.AlreadyBeingMoved:     http.StatusConflict,
	migration.NotReadyToRemove:      http.StatusConflict,
	migration.NeedsDecision:         http.StatusConflict,
	migration.Throttled:             http.StatusTooManyRequests,
	migration.Internal:              http.StatusInternalServerError,
}

func problemOf(status int, code migration.Code, detail string) *client.Problem {
	return &client.Problem{
		Status: status, Title: http.StatusText(status),
		Detail: detail, Code: string(code), Remedy: code.Remedy(),
	}
}

// problem turns an error of a use case into what the client sees. What is our own
// fault is logged in full under a trace id, and told as no more than that.
func (a *api) problem(err error) *client.Problem {
	var p *client.Problem
	if errors.As(err, &p) {
		return p
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return problemOf(http.StatusServiceUnavailable, migration.Internal, "the answer took too long; ask again")
	}
	if errors.Is(err, store.ErrNoRoom) {
		p = problemOf(http.StatusServiceUnavailable, migration.Internal, store.ErrNoRoom.Error()+": nothing was changed")
		p.Remedy = "Make room there and ask again; what was under way goes on by itself."
		return p
	}
	f := migration.AsFault(err)
	if f.Code == migration.Internal {
		return a.internal(err)
	}
	status, known := statuses[f.Code]
	if !known {
		status = http.StatusUnprocessableEntity
	}
	p = problemOf(status, f.Code, f.Reason)
	var file *control.ImportError
	if errors.As(err, &file) {
		p.More = file.More
		for _, x := range file.Problems {
			p.Problems = append(p.Problems, client.FieldProblem{Line: x.Line, Column: x.Column, Reason: x.Reason})
		}
	}
	var test *control.TestError
	if errors.As(err, &test) {
		p.Stages = stages(test.Stages)
	}
	return p
}

func (a *api) internal(err error) *client.Problem {
	p := problemOf(http.StatusInternalServerError, migration.Internal, "this did not work through no fault of yours")
	p.TraceID = rand.Text()
	if !errors.Is(err, context.Canceled) {
		a.Log.Error("request ended with an internal error", zap.String("trace", p.TraceID), zap.Error(err))
	}
	return p
}

// validation is huma's refusal of a request in our form. The offending value is left
// out: it may be a password in the wrong place.
func validation(e *huma.ErrorModel) *client.Problem {
	code := migration.InvalidArgument
	if e.Status >= http.StatusInternalServerError {
		code = migration.Internal
	}
	p := problemOf(e.Status, code, e.Detail)
	for _, d := range e.Errors {
		if d != nil {
			p.Problems = append(p.Problems, client.FieldProblem{Column: d.Location, Reason: d.Message})
		}
	}
	return p
}

func invalid(detail string) *client.Problem {
	return problemOf(http.StatusUnprocessableEntity, migration.InvalidArgument, detail)
}

func writeProblem(w http.ResponseWriter, p *client.Problem) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}
