package control

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"strings"
	"unicode"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	maxWebhooks   = 20 // of an organisation
	maxWebhookURL = 2000
	webhookKey    = 32 // bytes; the specification wants 24 to 64
)

// Webhooks keeps webhooks and what is on its way to them.
type Webhooks interface {
	// CreateWebhook fills in ID and CreatedAt; more than most are a Conflict.
	CreateWebhook(ctx context.Context, w *migration.Webhook, most int) error
	ListWebhooks(ctx context.Context, orgID int64) ([]migration.Webhook, error)
	DeleteWebhook(ctx context.Context, orgID, id int64) error
	ListDeliveries(ctx context.Context, webhookID, beforeID int64, limit int) ([]migration.Delivery, error)
	ListMails(ctx context.Context, batchID, beforeID int64, limit int) ([]migration.Delivery, error)
}

// SecretOfWebhook is described at SecretOfEndpoint.
func SecretOfWebhook(orgID int64) string { return "webhook/" + formatID(orgID) }

// NewWebhook is a webhook just made: the only time that its secret is told.
type NewWebhook struct {
	migration.Webhook
	Secret migration.Secret
}

// CreateWebhook makes a webhook that is called with all events of the organisation
// from now on.
func (c *Control) CreateWebhook(ctx context.Context, a Actor, org, address string) (NewWebhook, error) {
	o, err := c.enter(ctx, a, org, migration.Admin)
	if err != nil {
		return NewWebhook{}, err
	}
	if err := checkWebhookURL(address); err != nil {
		return NewWebhook{}, err
	}
	key := make([]byte, webhookKey)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	w := NewWebhook{Secret: migration.NewSecret(migration.WebhookSecretPrefix + base64.StdEncoding.EncodeToString(key))}
	w.Webhook = migration.Webhook{OrgID: o.ID, URL: address}
	if w.Webhook.Secret, err = c.vault.Seal(w.Secret, SecretOfWebhook(o.ID)); err != nil {
		return NewWebhook{}, fmt.Errorf("seal the webhook's secret: %w", err)
	}
	if err := c.store.CreateWebhook(ctx, &w.Webhook, maxWebhooks); err != nil {
		return NewWebhook{}, fmt.Errorf("create webhook: %w", err)
	}
	c.audit(ctx, a, migration.Event{OrgID: o.ID, Kind: "webhook.created", Data: map[string]any{"webhook": w.ID, "host": hostOf(address)}})
	return w, nil
}

// Webhooks lists the organisation's webhooks, oldest first.
func (c *Control) Webhooks(ctx context.Context, a Actor, org string) ([]migration.Webhook, error) {
	o, err := c.enter(ctx, a, org, migration.Admin)
	if err != nil {
		return nil, err
	}
	return c.store.ListWebhooks(ctx, o.ID)
}

// Webhook finds one webhook.
func (c *Control) Webhook(ctx context.Context, a Actor, org string, id int64) (migration.Webhook, error) {
	list, err := c.Webhooks(ctx, a, org)
	if err != nil {
		return migration.Webhook{}, err
	}
	for _, w := range list {
		if w.ID == id {
			return w, nil
		}
	}
	return migration.Webhook{}, fault(migration.NotFound, "there is no webhook %d", id)
}

// DeleteWebhook ends a webhook; what was on its way to it is dropped.
func (c *Control) DeleteWebhook(ctx context.Context, a Actor, org string, id int64) error {
	w, err := c.Webhook(ctx, a, org, id)
	if err != nil {
		return err
	}
	if err := c.store.DeleteWebhook(ctx, w.OrgID, id); err != nil {
		return fmt.Errorf("delete webhook: %w", err)
	}
	c.audit(ctx, a, migration.Event{OrgID: w.OrgID, Kind: "webhook.deleted", Data: map[string]any{"webhook": id, "host": hostOf(w.URL)}})
	return nil
}

// Deliveries lists what went and goes to a webhook, newest first.
func (c *Control) Deliveries(ctx context.Context, a Actor, org string, id, before int64, limit int) ([]migration.Delivery, error) {
	w, err := c.Webhook(ctx, a, org, id)
	if err != nil {
		return nil, err
	}
	return c.store.ListDeliveries(ctx, w.ID, before, limit)
}

// Mails lists what was and is mailed about a batch, newest first.
func (c *Control) Mails(ctx context.Context, a Actor, org, batch string, before int64, limit int) ([]migration.Delivery, error) {
	b, err := c.enterBatch(ctx, a, org, batch, migration.Viewer)
	if err != nil {
		return nil, err
	}
	return c.store.ListMails(ctx, b.ID, before, limit)
}

// checkWebhookURL lets through https, and http to this very machine. Whether the host
// may be called is seen when it is.
func checkWebhookURL(text string) error {
	refuse := func(why string) error { return fault(migration.InvalidArgument, "url: %s", why) }
	u, err := url.Parse(text)
	switch {
	case len(text) > maxWebhookURL:
		return refuse(fmt.Sprintf("longer than %d characters", maxWebhookURL))
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }):
		return refuse("it holds a character that does not belong there")
	case err != nil || u.Hostname() == "":
		return refuse("not a URL such as https://hooks.example.com/mailhaul")
	case u.User != nil:
		return refuse("no user name or password: the calls are signed")
	case u.Fragment != "":
		return refuse("no fragment: it is never sent")
	case u.Scheme == "https", u.Scheme == "http" && thisMachine(u.Hostname()):
		return nil
	}
	return refuse("it begins with https://; http:// leads to this machine only")
}

func thisMachine(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// hostOf is what the log is told of a URL: the rest may hold a secret of the receiver's.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// checkMailAddress says whether mail may be sent to an address.
func checkMailAddress(what, address string) error {
	if a, err := mail.ParseAddress(address); err != nil || a.Address != address || strings.ContainsFunc(address, unicode.IsControl) {
		return fault(migration.InvalidArgument, "%s: %q is no mail address", what, migration.Clean(address))
	}
	return nil
}
