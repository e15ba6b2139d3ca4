package httpapi

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/store"
)

// Answers keeps what was answered to requests with an Idempotency-Key.
// PutIdempotent with Status 0 takes the key, and is a Fault{Conflict} where it is
// taken; a second call with the same RequestHash gives the answer.
type Answers interface {
	GetIdempotent(ctx context.Context, orgID int64, tokenID, key string) (store.Idempotent, bool, error)
	PutIdempotent(ctx context.Context, orgID int64, tokenID, key string, v store.Idempotent) error
	DeleteIdempotent(ctx context.Context, orgID int64, tokenID, key string) error
}

const (
	maxKey    = 255
	maxKept   = 1 << 20 // bytes of an answer that is kept
	keptFor   = 24 * time.Hour
	underWay  = 2 * answerLong // a taken key without an answer is given up after it
	storeTime = 10 * time.Second
)

// once answers a POST that was made before, under the same Idempotency-Key by the
// same token, with the same answer:
//
//  1. the key has an answer to the same request: give it again; to another request:
//     refuse;
//  2. the key is taken by a request under way: conflict;
//  3. take the key, make the request, keep its answer; give the key free where the
//     answer says that it may be tried again (5xx, 429).
//
// What is kept is of no use without the token: the request is known by a keyed hash,
// the answer (which may hold the value of a new token) is encrypted, both under keys
// made from the token's value, which the store does not have.
func (a *api) once(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		if r.Method != http.MethodPost || key == "" {
			next.ServeHTTP(w, r)
			return
		}
		if len(key) > maxKey || migration.Clean(key) != key {
			writeProblem(w, invalid(fmt.Sprintf("Idempotency-Key: at most %d printable characters", maxKey)))
			return
		}
		k := kept{api: a, key: key, token: bearer(r)}
		who := actor(r.Context())
		k.orgID, k.tokenID = who.OrgID, who.TokenID
		k.hash = k.mac("request", append(sameRequest(r.Header.Get("Content-Type"), wholeBody(r.Context())), []byte(r.Method), []byte(r.URL.RequestURI()))...)
		if k.replay(w, r) {
			return
		}
		k.run(w, r, next)
	})
}

// sameRequest is what makes a body the same: a form sent again has another boundary.
func sameRequest(contentType string, body []byte) [][]byte {
	kind, params, err := mime.ParseMediaType(contentType)
	if boundary := params["boundary"]; err == nil && boundary != "" {
		return [][]byte{[]byte(kind), bytes.ReplaceAll(body, []byte("--"+boundary), []byte("--"))}
	}
	return [][]byte{[]byte(contentType), body}
}

// kept is one key of one token.
type kept struct {
	api     *api
	key     string
	token   string
	orgID   int64
	tokenID string
	hash    []byte
}

// replay answers from what is kept; false where the request is to be made now, for
// which the key is taken.
func (k *kept) replay(w http.ResponseWriter, r *http.Request) bool {
	ctx, s := r.Context(), k.api.Store
	v, found, err := s.GetIdempotent(ctx, k.orgID, k.tokenID, k.key)
	now := k.api.Now()
	if err == nil && found && (now.Sub(v.At) >= keptFor || v.Status == 0 && now.Sub(v.At) >= underWay) {
		found, err = false, s.DeleteIdempotent(ctx, k.orgID, k.tokenID, k.key)
	}
	if err == nil && !found {
		err = s.PutIdempotent(ctx, k.orgID, k.tokenID, k.key, store.Idempotent{RequestHash: k.hash, At: now})
		if err == nil {
			return false
		}
		if migration.AsFault(err).Code == migration.Conflict { // taken since the look
			v = store.Idempotent{RequestHash: k.hash}
			err = nil
		}
	}
	switch {
	case err != nil:
		writeProblem(w, k.api.problem(err))
	case !hmac.Equal(v.RequestHash, k.hash):
		writeProblem(w, invalid("Idempotency-Key: it was used with another request"))
	case v.Status == 0:
		writeProblem(w, problemOf(http.StatusConflict, migration.Conflict, "a request with this Idempotency-Key is under way"))
	default:
		k.again(w, v)
	}
	return true
}

func (k *kept) again(w http.ResponseWriter, v store.Idempotent) {
	body, err := k.open(v.Body)
	if err != nil {
		writeProblem(w, k.api.internal(fmt.Errorf("open a kept answer: %w", err)))
		return
	}
	if v.Header != "" {
		w.Header().Set("Content-Type", v.Header)
	}
	w.Header().Set("Idempotency-Replayed", "true")
	w.WriteHeader(v.Status)
	_, _ = w.Write(body)
}

// run makes the request and keeps its answer.
func (k *kept) run(w http.ResponseWriter, r *http.Request, next http.Handler) {
	rec := &recorder{started: started{ResponseWriter: w}}
	finished := false
	defer func() {
		// The answer is decided: the client's end must not keep it from being kept.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), storeTime)
		defer cancel()
		if err := k.keep(ctx, rec, finished); err != nil {
			k.api.Log.Error("answer to an idempotency key not kept", zap.Error(err))
		}
	}()
	next.ServeHTTP(rec, r)
	finished = true
}

func (k *kept) keep(ctx context.Context, rec *recorder, finished bool) error {
	again := rec.status >= http.StatusInternalServerError || rec.status == http.StatusTooManyRequests
	if !finished || again || rec.status == 0 || rec.overflow {
		return k.api.Store.DeleteIdempotent(ctx, k.orgID, k.tokenID, k.key)
	}
	body, err := k.seal(rec.body.Bytes())
	if err != nil {
		return err
	}
	return k.api.Store.PutIdempotent(ctx, k.orgID, k.tokenID, k.key, store.Idempotent{
		RequestHash: k.hash, Status: rec.status, Header: rec.Header().Get("Content-Type"), Body: body, At: k.api.Now(),
	})
}

// recorder passes an answer on and remembers it.
type recorder struct {
	started
	body     bytes.Buffer
	overflow bool
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.body.Len()+len(b) > maxKept {
		r.overflow = true
	} else {
		r.body.Write(b)
	}
	return r.started.Write(b)
}

// mac is a hash of parts under a key made from the token's value.
func (k *kept) mac(label string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, []byte(k.token))
	fmt.Fprintf(h, "mailhaul idempotency %s\n", label)
	for _, p := range parts {
		fmt.Fprintf(h, "%d\n", len(p))
		h.Write(p)
	}
	return h.Sum(nil)
}

func (k *kept) cipher() (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.mac("answer"))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (k *kept) seal(body []byte) ([]byte, error) {
	c, err := k.cipher()
	if err != nil {
		return nil, err
	}
	return c.Seal(nil, nil, body, k.hash), nil
}

func (k *kept) open(sealed []byte) ([]byte, error) {
	c, err := k.cipher()
	if err != nil {
		return nil, err
	}
	if len(sealed) == 0 {
		return nil, errors.New("no answer is kept")
	}
	return c.Open(nil, nil, sealed, k.hash)
}
