package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Orgs lists the organisations that the token may see.
func (c *Client) Orgs(ctx context.Context) ([]Org, error) {
	return all[Org](ctx, c, []string{"v1", "orgs"}, nil)
}

// CreateOrg makes an organisation.
func (c *Client) CreateOrg(ctx context.Context, name string) (out Org, err error) {
	_, err = c.json(ctx, call{method: http.MethodPost, path: []string{"v1", "orgs"}}, NewOrg{Name: name}, &out)
	return out, err
}

// Usage tells what the organisation has moved.
func (c *Client) Usage(ctx context.Context) (out Usage, err error) {
	_, err = c.json(ctx, call{method: http.MethodGet, path: c.inOrg("usage")}, nil, &out)
	return out, err
}

// CreateWebhook makes a webhook.
func (c *Client) CreateWebhook(ctx context.Context, address string) (out CreatedWebhook, err error) {
	_, err = c.json(ctx, call{method: http.MethodPost, path: c.inOrg("webhooks")}, NewWebhook{URL: address}, &out)
	return out, err
}

// Webhooks lists webhooks.
func (c *Client) Webhooks(ctx context.Context) ([]Webhook, error) {
	return all[Webhook](ctx, c, c.inOrg("webhooks"), nil)
}

// Mails lists what was and is mailed about a batch, newest first.
func (c *Client) Mails(ctx context.Context, batch string) ([]Mail, error) {
	return all[Mail](ctx, c, c.inOrg("batches", batch, "mails"), nil)
}

// Deliveries lists what went and goes to a webhook, newest first.
func (c *Client) Deliveries(ctx context.Context, id string) ([]Delivery, error) {
	return all[Delivery](ctx, c, c.inOrg("webhooks", id, "deliveries"), nil)
}

// DeleteWebhook ends a webhook.
func (c *Client) DeleteWebhook(ctx context.Context, id string) error {
	_, err := c.json(ctx, call{method: http.MethodDelete, path: c.inOrg("webhooks", id)}, nil, nil)
	return err
}

// Tokens lists tokens.
func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	return all[Token](ctx, c, c.inOrg("tokens"), nil)
}

// CreateToken makes a token.
func (c *Client) CreateToken(ctx context.Context, t NewToken) (out CreatedToken, err error) {
	_, err = c.json(ctx, call{method: http.MethodPost, path: c.inOrg("tokens")}, t, &out)
	return out, err
}

// RevokeToken ends a token.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	_, err := c.json(ctx, call{method: http.MethodDelete, path: c.inOrg("tokens", id)}, nil, nil)
	return err
}

// RotateKeys puts every secret under the vault's first key.
func (c *Client) RotateKeys(ctx context.Context) (out Rotated, err error) {
	_, err = c.json(ctx, call{method: http.MethodPost, path: []string{"v1", "vault", "rotate"}}, nil, &out)
	return out, err
}

// Endpoints lists endpoints.
func (c *Client) Endpoints(ctx context.Context) ([]Endpoint, error) {
	return all[Endpoint](ctx, c, c.inOrg("endpoints"), nil)
}

// Endpoint finds one endpoint.
func (c *Client) Endpoint(ctx context.Context, name string) (out Endpoint, err error) {
	_, err = c.json(ctx, call{method: http.MethodGet, path: c.inOrg("endpoints", name)}, nil, &out)
	return out, err
}

// CreateEndpoint makes an endpoint, after a test unless skipTest.
func (c *Client) CreateEndpoint(ctx context.Context, in NewEndpoint, skipTest bool) (out Endpoint, err error) {
	_, err = c.json(ctx, call{method: http.MethodPost, path: c.inOrg("endpoints"), query: flag("skipTest", skipTest)}, in, &out)
	return out, err
}

// ChangeEndpoint changes an endpoint.
func (c *Client) ChangeEndpoint(ctx context.Context, name string, in EndpointChange) (out Endpoint, err error) {
	_, err = c.json(ctx, call{method: http.MethodPatch, path: c.inOrg("endpoints", name)}, in, &out)
	return out, err
}

// DeleteEndpoint deletes an endpoint.
func (c *Client) DeleteEndpoint(ctx context.Context, name string) error {
	_, err := c.json(ctx, call{method: http.MethodDelete, path: c.inOrg("endpoints", name)}, nil, nil)
	return err
}

// Scope tells which mailboxes may move; a Problem NotFound where all may.
func (c *Client) Scope(ctx context.Context, endpoint string) ([]string, error) {
	var out Scope
	_, err := c.json(ctx, call{method: http.MethodGet, path: c.inOrg("endpoints", endpoint, "scope")}, nil, &out)
	return out.Mailboxes, err
}

// SetScope lets these mailboxes move and no other.
func (c *Client) SetScope(ctx context.Context, endpoint string, mailboxes []string) (out Endpoint, err error) {
	_, err = c.json(ctx, call{method: http.MethodPut, path: c.inOrg("endpoints", endpoint, "scope")}, Scope{Mailboxes: mailboxes}, &out)
	return out, err
}

// EditScope adds to an endpoint's scope and takes from it.
func (c *Client) EditScope(ctx context.Context, endpoint string, in ScopeChange) (out Endpoint, err error) {
	_, err = c.json(ctx, call{method: http.MethodPatch, path: c.inOrg("endpoints", endpoint, "scope")}, in, &out)
	return out, err
}

// ClearScope lets every mailbox move.
func (c *Client) ClearScope(ctx context.Context, endpoint string) error {
	_, err := c.json(ctx, call{method: http.MethodDelete, path: c.inOrg("endpoints", endpoint, "scope")}, nil, nil)
	return err
}

// TestEndpoint tests an endpoint.
func (c *Client) TestEndpoint(ctx context.Context, name string, in EndpointTest) (out TestResult, err error) {
	_, err = c.json(ctx, call{method: http.MethodPost, path: c.inOrg("endpoints", name, "test")}, in, &out)
	return out, err
}

// Discover finds the mail server of an address.
func (c *Client) Discover(ctx context.Context, in DiscoveryQuestion) (out Discovery, err error) {
	_, err = c.json(ctx, call{method: http.MethodPost, path: c.inOrg("endpoints", "discover")}, in, &out)
	return out, err
}

// Batches lists batches.
func (c *Client) Batches(ctx context.Context) ([]Batch, error) {
	return all[Batch](ctx, c, c.inOrg("batches"), nil)
}

// Batch finds one batch.
func (c *Client) Batch(ctx context.Context, name string) (out Batch, err error) {
	_, err = c.json(ctx, call{method: http.MethodGet, path: c.inOrg("batches", name)}, nil, &out)
	return out, err
}

// CreateBatch makes a batch from a CSV file.
func (c *Client) CreateBatch(ctx context.Context, spec BatchSpec, fileName string, csv []byte) (out Batch, err error) {
	err = c.upload(ctx, c.inOrg("batches"), nil, spec, fileName, csv, &out)
	return out, err
}

// CheckBatch is CreateBatch without creating anything.
func (c *Client) CheckBatch(ctx context.Context, spec BatchSpec, fileName string, csv []byte) (out DryRun, err error) {
	err = c.upload(ctx, c.inOrg("batches"), flag("dryRun", true), spec, fileName, csv, &out)
	return out, err
}

// AddUsers adds the rows of a CSV file to a batch.
func (c *Client) AddUsers(ctx context.Context, batch string, spec BatchSpec, fileName string, csv []byte) (out Added, err error) {
	err = c.upload(ctx, c.inOrg("batches", batch, "users"), nil, spec, fileName, csv, &out)
	return out, err
}

// CheckUsers is AddUsers without adding anything.
func (c *Client) CheckUsers(ctx context.Context, batch string, spec BatchSpec, fileName string, csv []byte) (out Added, err error) {
	err = c.upload(ctx, c.inOrg("batches", batch, "users"), flag("dryRun", true), spec, fileName, csv, &out)
	return out, err
}

func (c *Client) upload(ctx context.Context, path []string, query url.Values, spec BatchSpec, fileName string, csv []byte, out any) error {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormField("spec")
	if err == nil {
		err = json.NewEncoder(part).Encode(spec)
	}
	if err == nil {
		part, err = form.CreateFormFile("csv", fileName)
	}
	if err == nil {
		_, err = part.Write(csv)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	k := call{upload: true, method: http.MethodPost, path: path, query: query, body: body.Bytes(), contentType: form.FormDataContentType()}
	_, err = c.json(ctx, k, nil, out)
	return err
}

// ChangeBatch changes a batch's settings; confirm is its name, where deletions become
// mirror.
func (c *Client) ChangeBatch(ctx context.Context, name, confirm string, in BatchChange) (out Batch, err error) {
	_, err = c.json(ctx, call{method: http.MethodPatch, path: c.inOrg("batches", name), query: some("confirm", confirm)}, in, &out)
	return out, err
}

// Do runs a verb on a batch: start, stop, sync, verify or preflight.
func (c *Client) Do(ctx context.Context, batch, verb string) (out Batch, err error) {
	_, err = c.json(ctx, call{method: http.MethodPost, path: c.inOrg("batches", batch, verb)}, nil, &out)
	return out, err
}

// CompleteBatch asks for the last sync, now or at a time.
func (c *Client) CompleteBatch(ctx context.Context, batch string, at *time.Time) (out Batch, err error) {
	_, err = c.json(ctx, call{method: http.MethodPost, path: c.inOrg("batches", batch, "complete")}, Completion{At: at}, &out)
	return out, err
}

// ReverseBatch makes a batch in the other direction; name may be empty.
func (c *Client) ReverseBatch(ctx context.Context, batch, name string) (out Batch, err error) {
	_, err = c.json(ctx, call{method: http.MethodPost, path: c.inOrg("batches", batch, "reverse")}, Reversal{Name: name}, &out)
	return out, err
}

// Removal is how a batch is removed.
type Removal struct {
	Force      bool
	Confirm    string
	KeepReport bool
}

// RemoveBatch removes a batch; gone is false while a pass of it is still ending.
func (c *Client) RemoveBatch(ctx context.Context, name string, r Removal) (gone bool, err error) {
	q := url.Values{}
	if r.Force {
		q.Set("force", "true")
	}
	if r.KeepReport {
		q.Set("keepReport", "true")
	}
	if r.Confirm != "" {
		q.Set("confirm", r.Confirm)
	}
	status, err := c.json(ctx, call{method: http.MethodDelete, path: c.inOrg("batches", name), query: q}, nil, nil)
	return status == http.StatusNoContent, err
}

// UserFilter narrows a list of users.
type UserFilter struct{ Status, Code string }

// Users lists a batch's users.
func (c *Client) Users(ctx context.Context, batch string, f UserFilter) ([]User, error) {
	return all[User](ctx, c, c.inOrg("batches", batch, "users"), some("status", f.Status, "code", f.Code))
}

// User finds one user.
func (c *Client) User(ctx context.Context, batch, email string) (out User, err error) {
	_, err = c.json(ctx, call{method: http.MethodGet, path: c.inOrg("batches", batch, "users", email)}, nil, &out)
	return out, err
}

// DoUser runs a verb on a user: retry, stop, complete or reset.
func (c *Client) DoUser(ctx context.Context, batch, email, verb string) (out User, err error) {
	_, err = c.json(ctx, call{method: http.MethodPost, path: c.inOrg("batches", batch, "users", email, verb)}, nil, &out)
	return out, err
}

// MoveUser moves a user to another batch.
func (c *Client) MoveUser(ctx context.Context, batch, email, to string) (out User, err error) {
	_, err = c.json(ctx, call{method: http.MethodPost, path: c.inOrg("batches", batch, "users", email, "move")}, Move{To: to}, &out)
	return out, err
}

// ConfirmDeletions confirms the deletions that a user's latest sync asks about, by their
// number.
func (c *Client) ConfirmDeletions(ctx context.Context, batch, email string, n int64) (out User, err error) {
	_, err = c.json(ctx, call{
		method: http.MethodPost, path: c.inOrg("batches", batch, "users", email, "confirm-deletions"),
		query: url.Values{"confirm": {strconv.FormatInt(n, 10)}},
	}, nil, &out)
	return out, err
}

// SetCredentials gives a user new credentials.
func (c *Client) SetCredentials(ctx context.Context, batch, email string, in Credentials) (out User, err error) {
	_, err = c.json(ctx, call{method: http.MethodPost, path: c.inOrg("batches", batch, "users", email, "credentials")}, in, &out)
	return out, err
}

// RemoveUser takes a user out of its batch; gone as in RemoveBatch.
func (c *Client) RemoveUser(ctx context.Context, batch, email string) (gone bool, err error) {
	status, err := c.json(ctx, call{method: http.MethodDelete, path: c.inOrg("batches", batch, "users", email)}, nil, nil)
	return status == http.StatusNoContent, err
}

// Items lists the messages of a batch that were skipped or failed.
func (c *Client) Items(ctx context.Context, batch, code string) ([]Item, error) {
	return all[Item](ctx, c, c.inOrg("batches", batch, "items"), some("code", code))
}

// Report copies a report to w.
func (c *Client) Report(ctx context.Context, batch, kind, format string, w io.Writer) error {
	res, err := c.do(ctx, call{method: http.MethodGet, path: c.inOrg("batches", batch, "reports", kind), query: some("format", format)})
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("read the report: %w", err)
	}
	return nil
}

func flag(name string, set bool) url.Values {
	if !set {
		return nil
	}
	return url.Values{name: {"true"}}
}

// some makes a query of the pairs whose value is not empty.
func some(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}
