package httpapi

import (
	"context"
	"net/http"
	"strconv"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// WebhookPath is the parameters of a webhook's path.
type WebhookPath struct {
	OrgPath
	ID int64 `path:"id" minimum:"1" doc:"ID of the webhook"`
}

type webhookOut struct{ Body client.Webhook }

func (a *api) webhookRoutes() {
	c := a.Control
	const path = "/v1/orgs/{org}/webhooks"
	route(a, migration.Admin, http.MethodPost, path, "createWebhook", "Make a webhook; its secret is told this once",
		func(ctx context.Context, who control.Actor, in *struct {
			OrgPath
			Body client.NewWebhook
		},
		) (*struct{ Body client.CreatedWebhook }, error) {
			w, err := c.CreateWebhook(ctx, who, in.Org, in.Body.URL)
			if err != nil {
				return nil, err
			}
			body := client.CreatedWebhook{Webhook: webhookWire(w.Webhook), Secret: w.Secret.Reveal()}
			return &struct{ Body client.CreatedWebhook }{body}, nil
		}, status(http.StatusCreated))
	route(a, migration.Admin, http.MethodGet, path, "listWebhooks", "List webhooks",
		func(ctx context.Context, who control.Actor, in *struct {
			OrgPath
			Paging
		},
		) (*pageOut[client.Webhook], error) {
			all, err := c.Webhooks(ctx, who, in.Org)
			if err != nil {
				return nil, err
			}
			return slice(all, in.Paging, webhookWire)
		})
	route(a, migration.Admin, http.MethodGet, path+"/{id}", "getWebhook", "Show a webhook",
		func(ctx context.Context, who control.Actor, in *WebhookPath) (*webhookOut, error) {
			w, err := c.Webhook(ctx, who, in.Org, in.ID)
			return &webhookOut{webhookWire(w)}, err
		})
	route(a, migration.Admin, http.MethodDelete, path+"/{id}", "deleteWebhook", "End a webhook",
		func(ctx context.Context, who control.Actor, in *WebhookPath) (*none, error) {
			return nil, c.DeleteWebhook(ctx, who, in.Org, in.ID)
		}, status(http.StatusNoContent))
	route(a, migration.Admin, http.MethodGet, path+"/{id}/deliveries", "listDeliveries", "List what went and goes to a webhook, newest first",
		func(ctx context.Context, who control.Actor, in *struct {
			WebhookPath
			Paging
		},
		) (*pageOut[client.Delivery], error) {
			before, err := in.afterID()
			if err != nil {
				return nil, err
			}
			rows, err := c.Deliveries(ctx, who, in.Org, in.ID, before, in.Limit+1)
			if err != nil {
				return nil, err
			}
			return page(rows, in.Limit, deliveryWire, func(d migration.Delivery) string { return strconv.FormatInt(d.ID, 10) }), nil
		})
}

func (a *api) mailRoutes() {
	route(a, migration.Viewer, http.MethodGet, batchPath+"/mails", "listMails", "List what was and is mailed about a batch, newest first",
		func(ctx context.Context, who control.Actor, in *struct {
			BatchPath
			Paging
		},
		) (*pageOut[client.Mail], error) {
			before, err := in.afterID()
			if err != nil {
				return nil, err
			}
			rows, err := a.Control.Mails(ctx, who, in.Org, in.Name, before, in.Limit+1)
			if err != nil {
				return nil, err
			}
			return page(rows, in.Limit, mailWire, func(d migration.Delivery) string { return strconv.FormatInt(d.ID, 10) }), nil
		})
}

func mailWire(d migration.Delivery) client.Mail {
	w := deliveryWire(d)
	return client.Mail{
		To: d.Address, Event: w.Event, Status: w.Status, Attempts: w.Attempts, Answer: w.Answer,
		CreatedAt: w.CreatedAt, LastAttemptAt: w.LastAttemptAt, NextAttemptAt: w.NextAttemptAt,
	}
}

func webhookWire(w migration.Webhook) client.Webhook {
	out := client.Webhook{ID: w.ID, URL: w.URL, CreatedAt: w.CreatedAt.UTC()}
	if w.Last != nil {
		last := deliveryWire(*w.Last)
		out.LastDelivery = &last
	}
	return out
}

func deliveryWire(d migration.Delivery) client.Delivery {
	out := client.Delivery{
		ID: "msg_" + strconv.FormatInt(d.ID, 10), Event: d.Kind, Status: "failed", Attempts: d.Attempts, Answer: d.Answer,
		CreatedAt: d.CreatedAt.UTC(), LastAttemptAt: when(d.EndedAt), NextAttemptAt: when(d.DueAt),
	}
	switch {
	case d.Delivered:
		out.Status = "delivered"
	case !d.DueAt.IsZero():
		out.Status = "pending"
	}
	return out
}
