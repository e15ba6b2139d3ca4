package httpapi

import (
	"context"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Store is what the API itself keeps, beside what package control does.
type Store interface {
	// TokenByHash answers Fault{NotFound} for a hash that no token has.
	TokenByHash(ctx context.Context, hash []byte) (migration.Token, error)
	CountTokens(ctx context.Context) (int, error)
	Answers
}

// bootstrapID stands for the bootstrap token in the audit log.
const bootstrapID = "bootstrap"

type actorKey struct{}

func actor(ctx context.Context) control.Actor {
	a, _ := ctx.Value(actorKey{}).(control.Actor)
	return a
}

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func (a *api) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := a.whoIs(r.Context(), bearer(r))
		if err != nil {
			p := a.problem(err)
			if p.Status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="mailhaul"`)
			}
			writeProblem(w, p)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), actorKey{}, who)))
	})
}

// whoIs finds the actor of a token's value. Every refusal reads the same.
func (a *api) whoIs(ctx context.Context, token string) (control.Actor, error) {
	refused := problemOf(http.StatusUnauthorized, migration.Unauthorized, "this needs a valid token")
	if token == "" {
		return control.Actor{}, refused
	}
	hash := control.HashToken(token)
	t, err := a.Store.TokenByHash(ctx, hash)
	if err == nil {
		if !t.RevokedAt.IsZero() || !t.ExpiresAt.IsZero() && !a.Now().Before(t.ExpiresAt) {
			return control.Actor{}, refused
		}
		return control.Actor{TokenID: t.ID, OrgID: t.OrgID, Role: t.Role}, nil
	}
	if migration.AsFault(err).Code != migration.NotFound {
		return control.Actor{}, err
	}
	if a.Bootstrap.Empty() || subtle.ConstantTimeCompare(hash, control.HashToken(a.Bootstrap.Reveal())) != 1 {
		return control.Actor{}, refused
	}
	n, err := a.Store.CountTokens(ctx)
	if err != nil {
		return control.Actor{}, err
	}
	if n > 0 {
		return control.Actor{}, problemOf(http.StatusUnauthorized, migration.Unauthorized, "the bootstrap token counts no more: there are tokens in the store")
	}
	return control.Actor{TokenID: bootstrapID, Role: migration.Owner}, nil
}
