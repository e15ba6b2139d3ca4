package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// CreateWebhook stores a webhook and fills in its ID and CreatedAt. An organisation
// has at most most of them.
func (s *Store) CreateWebhook(ctx context.Context, w *migration.Webhook, most int) error {
	return s.write(ctx, "create webhook", func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM webhooks WHERE org_id = $1`, w.OrgID).Scan(&n); err != nil {
			return err
		}
		if n >= most {
			return conflict("there are %d webhooks already: delete one first", n)
		}
		w.CreatedAt = s.now()
		return tx.QueryRowContext(ctx, `INSERT INTO webhooks (org_id, url, secret, created_at) VALUES ($1, $2, $3, $4) RETURNING id`,
			w.OrgID, w.URL, w.Secret, at(w.CreatedAt)).Scan(&w.ID)
	})
}

const selectWebhook = `SELECT id, org_id, url, secret, created_at FROM webhooks`

func scanWebhook(row interface{ Scan(...any) error }) (w migration.Webhook, err error) {
	err = row.Scan(&w.ID, &w.OrgID, &w.URL, &w.Secret, timeInto{&w.CreatedAt})
	return w, err
}

// WebhookByID finds a webhook of any organisation.
func (s *Store) WebhookByID(ctx context.Context, id int64) (migration.Webhook, error) {
	w, err := scanWebhook(s.r.QueryRowContext(ctx, selectWebhook+` WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return migration.Webhook{}, notFound("there is no such webhook")
	}
	if err != nil {
		return migration.Webhook{}, fmt.Errorf("find webhook: %w", err)
	}
	return w, nil
}

// ListWebhooks returns an organisation's webhooks, oldest first, each with the delivery
// that was tried last.
func (s *Store) ListWebhooks(ctx context.Context, orgID int64) ([]migration.Webhook, error) {
	var out []migration.Webhook
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		w, err := scanWebhook(rows)
		out = append(out, w)
		return err
	}, selectWebhook+` WHERE org_id = $1 ORDER BY id`, orgID)
	if err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	for i := range out {
		last, err := s.deliveries(ctx, selectDelivery+` WHERE webhook_id = $1 AND attempts > 0 AND ended_at IS NOT NULL ORDER BY ended_at DESC, id DESC LIMIT 1`, out[i].ID)
		if err != nil {
			return nil, err
		}
		if len(last) > 0 {
			out[i].Last = &last[0]
		}
	}
	return out, nil
}

// DeleteWebhook deletes a webhook and what was on its way to it.
func (s *Store) DeleteWebhook(ctx context.Context, orgID, id int64) error {
	return s.write(ctx, "delete webhook", func(tx *sql.Tx) error {
		n, err := execN(ctx, tx, `DELETE FROM webhooks WHERE org_id = $1 AND id = $2`, orgID, id)
		if err != nil {
			return err
		}
		if n == 0 {
			return notFound("there is no webhook %d", id)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM deliveries WHERE webhook_id = $1`, id); err != nil {
			return err
		}
		return s.scrubLater(ctx, tx)
	})
}

// ListDeliveries returns a webhook's deliveries before an ID (0: from the end), newest
// first.
func (s *Store) ListDeliveries(ctx context.Context, webhookID, beforeID int64, limit int) ([]migration.Delivery, error) {
	return s.deliveries(ctx, selectDelivery+` WHERE webhook_id = $1 AND (id < $2 OR $2 = 0) ORDER BY id DESC LIMIT $3`, webhookID, beforeID, limit)
}

// ListMails is ListDeliveries for the mail about a batch.
func (s *Store) ListMails(ctx context.Context, batchID, beforeID int64, limit int) ([]migration.Delivery, error) {
	return s.deliveries(ctx, selectDelivery+` WHERE batch_id = $1 AND webhook_id = 0 AND (id < $2 OR $2 = 0) ORDER BY id DESC LIMIT $3`, batchID, beforeID, limit)
}

const selectDelivery = `SELECT id, org_id, batch_id, event_id, webhook_id, address, kind, body, created_at, due_at, attempts, delivered, ended_at, answer FROM deliveries`

func (s *Store) deliveries(ctx context.Context, query string, args ...any) ([]migration.Delivery, error) {
	var out []migration.Delivery
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		var d migration.Delivery
		err := rows.Scan(&d.ID, &d.OrgID, &d.BatchID, &d.EventID, &d.WebhookID, &d.Address, &d.Kind, &d.Body, timeInto{&d.CreatedAt},
			timeInto{&d.DueAt}, &d.Attempts, &d.Delivered, timeInto{&d.EndedAt}, &d.Answer)
		out = append(out, d)
		return err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return out, nil
}
