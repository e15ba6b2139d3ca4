package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// ErrUnreachable is in the chain of errors where no answer came.
var ErrUnreachable = errors.New("the API cannot be reached")

// answerWithin is longer than the API takes for anything.
const answerWithin = 6 * time.Minute

// maxAnswer bounds what is read of an answer that is held in memory.
const maxAnswer = 64 << 20

// Config is where the API is and who asks.
type Config struct {
	URL   string // such as http://127.0.0.1:8080
	Token migration.Secret
	Org   string // "" for default
	// HTTP makes the requests; nil: a client of its own.
	HTTP *http.Client
	// Wait returns when it is time to try again, or with an error; nil: after a second.
	Wait func(ctx context.Context) error
}

// Client makes requests of one organisation. It is safe for concurrent use.
type Client struct {
	base  string
	token migration.Secret
	org   string
	http  *http.Client
	wait  func(ctx context.Context) error
	sends func(sent, total int64)
}

// Sending returns a client that tells how much of an upload is sent; an attempt that has
// to be made again begins anew.
func (c *Client) Sending(tell func(sent, total int64)) *Client {
	out := *c
	out.sends = tell
	return &out
}

// New returns a client; it connects to nothing yet.
func New(c Config) (*Client, error) {
	u, err := url.Parse(strings.TrimSuffix(c.URL, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("the API's URL %q is not http://… or https://…", migration.Clean(c.URL))
	}
	out := &Client{base: u.String(), token: c.Token, org: c.Org, http: c.HTTP, wait: c.Wait}
	if out.org == "" {
		out.org = migration.DefaultOrg
	}
	if out.http == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.ResponseHeaderTimeout = answerWithin
		out.http = &http.Client{
			Transport: transport,
			// A redirect would carry the token to somebody else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if out.wait == nil {
		out.wait = aSecond
	}
	return out, nil
}

func aSecond(ctx context.Context) error {
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// call is one request.
type call struct {
	method      string
	path        []string // parts, unescaped
	query       url.Values
	body        []byte
	contentType string
	accept      string
	lastEventID string
	upload      bool
}

// attempts is how often a request is made where the connection is refused.
const attempts = 3

// do makes the request and answers a 2xx; the caller closes its body.
func (c *Client) do(ctx context.Context, k call) (*http.Response, error) {
	target := c.base
	for _, part := range k.path {
		target += "/" + url.PathEscape(part)
	}
	if len(k.query) > 0 {
		target += "?" + k.query.Encode()
	}
	key := ""
	if k.method == http.MethodPost {
		key = rand.Text() // the same for every attempt: doing it twice does it once
	}
	for n := 1; ; n++ {
		res, err := c.once(ctx, target, key, k)
		if err == nil {
			return res, answer(res)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if n == attempts || !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		if err := c.wait(ctx); err != nil {
			return nil, err
		}
	}
}

func (c *Client) once(ctx context.Context, target, key string, k call) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, k.method, target, bytes.NewReader(k.body))
	if err != nil {
		return nil, err
	}
	if k.upload && c.sends != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			body := &counted{Reader: bytes.NewReader(k.body), tell: func(n int64) { c.sends(n, int64(len(k.body))) }}
			return io.NopCloser(body), nil // the length is set already
		}
		req.Body, _ = req.GetBody()
	}
	if !c.token.Empty() {
		req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	for name, value := range map[string]string{
		"Content-Type": k.contentType, "Accept": k.accept, "Idempotency-Key": key, "Last-Event-ID": k.lastEventID,
	} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	return c.http.Do(req)
}

// counted tells how much of it was read.
type counted struct {
	io.Reader
	n    int64
	tell func(int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if n > 0 {
		c.n += int64(n)
		c.tell(c.n)
	}
	return n, err
}

// answer turns a status that is no success into a *Problem.
func answer(res *http.Response) error {
	if res.StatusCode/100 == 2 {
		return nil
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%w: read the answer: %w", ErrUnreachable, err)
	}
	var p Problem
	if json.Unmarshal(body, &p) != nil || p.Code == "" {
		return &Problem{
			Status: res.StatusCode, Code: string(migration.Internal),
			Detail: fmt.Sprintf("no Mailhaul API answers there: HTTP status %s", migration.Clean(res.Status)),
		}
	}
	p.Status = res.StatusCode
	return &p
}

// json makes a request with a JSON body (nil: none) and reads the answer into out
// (nil: dropped). It reports the HTTP status.
func (c *Client) json(ctx context.Context, k call, in, out any) (int, error) {
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return 0, fmt.Errorf("make the request: %w", err)
		}
		k.body, k.contentType = body, "application/json"
	}
	res, err := c.do(ctx, k)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return 0, fmt.Errorf("%w: read the answer: %w", ErrUnreachable, err)
	}
	if out == nil || len(bytes.TrimSpace(body)) == 0 {
		return res.StatusCode, nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return res.StatusCode, fmt.Errorf("understand the answer: %w", err)
	}
	return res.StatusCode, nil
}

// inOrg is a path below the client's organisation.
func (c *Client) inOrg(parts ...string) []string {
	return append([]string{"v1", "orgs", c.org}, parts...)
}

// all walks the pages of a list.
func all[T any](ctx context.Context, c *Client, path []string, query url.Values) ([]T, error) {
	var out []T
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", "500")
	for {
		var p Page[T]
		if _, err := c.json(ctx, call{method: http.MethodGet, path: path, query: query}, nil, &p); err != nil {
			return nil, err
		}
		out = append(out, p.Items...)
		if p.NextCursor == "" {
			return out, nil
		}
		query.Set("cursor", p.NextCursor)
	}
}
