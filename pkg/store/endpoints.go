package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	// traffic is what passed through an endpoint on the day that was counted last: that
	// day and its bytes.
	traffic = `COALESCE((SELECT MAX(d.day) FROM endpoint_traffic d WHERE d.endpoint_id = endpoints.id), 0),
		COALESCE((SELECT CAST(SUM(t.bytes) AS BIGINT) FROM endpoint_traffic t WHERE t.endpoint_id = endpoints.id
			GROUP BY t.day ORDER BY t.day DESC LIMIT 1), 0)`

	// specColumns are written by create and update alike.
	specColumns = `preset, host, host_key, port, security, auth, login_template, admin_user, test_mailbox,
		max_migrations, max_incrementals, admin_secret, park_until, park_interval, park_code, park_reason, park_held,
		tls_pin, tls_insecure, hours, daily_bytes, bytes_per_second, messages_per_second, connections, compress, daily_bytes_per_mailbox, namespaces, admin_worked_at`
	selectEndpoint = `SELECT id, org_id, name, created_at, preset, host, port, security, auth, login_template, admin_user, test_mailbox,
		max_migrations, max_incrementals, admin_secret, park_until, park_interval, park_code, park_reason, park_held,
		tls_pin, tls_insecure, hours, daily_bytes, bytes_per_second, messages_per_second, connections, compress, daily_bytes_per_mailbox, namespaces, admin_worked_at,
		scope_size, working_limit, working_at, ` + traffic + ` FROM endpoints`
)

func specArgs(e *migration.Endpoint) []any {
	p := e.Park
	return []any{
		e.Preset, e.Host, e.System(), e.Port, string(e.Security), e.Auth, e.LoginTemplate, e.AdminUser, e.TestMailbox,
		e.MaxConcurrentMigrations, e.MaxConcurrentIncrementalSyncs, sealed(e.AdminSecret),
		at(p.Until), p.Interval.Microseconds(), string(p.Code), p.Reason, p.Held,
		e.TLSPin, e.TLSInsecure, string(e.Hours), e.DailyBytes, e.BytesPerSecond, e.MessagesPerSecond,
		e.ConnectionsPerMailbox, e.Compress, e.DailyBytesPerMailbox, listText(e.Namespaces), at(e.AdminWorkedAt),
	}
}

func scanEndpoint(row interface{ Scan(...any) error }) (migration.Endpoint, error) {
	var e migration.Endpoint
	err := row.Scan(&e.ID, &e.OrgID, &e.Name, timeInto{&e.CreatedAt},
		&e.Preset, &e.Host, &e.Port, &e.Security, &e.Auth, &e.LoginTemplate, &e.AdminUser, &e.TestMailbox,
		&e.MaxConcurrentMigrations, &e.MaxConcurrentIncrementalSyncs, &e.AdminSecret,
		timeInto{&e.Park.Until}, spanInto{&e.Park.Interval}, &e.Park.Code, &e.Park.Reason, &e.Park.Held,
		&e.TLSPin, &e.TLSInsecure, &e.Hours, &e.DailyBytes, &e.BytesPerSecond, &e.MessagesPerSecond, &e.ConnectionsPerMailbox, &e.Compress, &e.DailyBytesPerMailbox,
		listInto{&e.Namespaces}, timeInto{&e.AdminWorkedAt},
		&e.ScopeSize, &e.Working.Limit, timeInto{&e.Working.At}, &e.Traffic.Day, &e.Traffic.Bytes)
	return e, err
}

// CreateEndpoint stores an endpoint and fills its ID and CreatedAt.
func (s *Store) CreateEndpoint(ctx context.Context, e *migration.Endpoint) error {
	return s.write(ctx, "create endpoint", func(tx *sql.Tx) error {
		args := append([]any{e.OrgID, e.Name, at(s.now())}, specArgs(e)...)
		err := tx.QueryRowContext(ctx, `INSERT INTO endpoints (org_id, name, created_at, `+specColumns+`) VALUES (`+values(1, len(args))+`)
			ON CONFLICT DO NOTHING RETURNING id, created_at`, args...).Scan(&e.ID, timeInto{&e.CreatedAt})
		if errors.Is(err, sql.ErrNoRows) {
			return conflict("an endpoint named %q exists already", e.Name)
		}
		return err
	})
}

// UpdateEndpoint writes an endpoint's settings, secret and park. What is parked or
// limited anew holds from the next admission on.
func (s *Store) UpdateEndpoint(ctx context.Context, e *migration.Endpoint) error {
	return s.write(ctx, "change endpoint", func(tx *sql.Tx) error {
		args := append([]any{e.OrgID, e.ID}, specArgs(e)...)
		n, err := execN(ctx, tx, `UPDATE endpoints SET `+assign(specColumns, 3)+` WHERE org_id = $1 AND id = $2`, args...)
		if err != nil {
			return err
		}
		if n == 0 {
			return notFound("there is no endpoint %q", e.Name)
		}
		return s.scrubLater(ctx, tx) // a secret may have been replaced
	})
}

// ChangeEndpoint is to endpoints what ChangeBatch is to batches. Who waited because the
// endpoint rested is due.
func (s *Store) ChangeEndpoint(ctx context.Context, orgID, id int64, change func(*migration.Endpoint) error) (e migration.Endpoint, err error) {
	err = s.write(ctx, "change endpoint", func(tx *sql.Tx) error {
		var err error
		if e, err = s.endpointToChange(ctx, tx, orgID, id); err != nil {
			return err
		}
		if err := change(&e); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE endpoints SET `+assign(specColumns, 2)+` WHERE id = $1`, append([]any{id}, specArgs(&e)...)...); err != nil {
			return err
		}
		return s.scrubLater(ctx, tx) // a secret may have been replaced
	})
	if err != nil {
		return e, err
	}
	return e, s.rouse(ctx, id)
}

// endpointToChange reads an endpoint of an organisation, and keeps other changes off.
func (s *Store) endpointToChange(ctx context.Context, tx *sql.Tx, orgID, id int64) (migration.Endpoint, error) {
	e, err := scanEndpoint(tx.QueryRowContext(ctx, selectEndpoint+` WHERE org_id = $1 AND id = $2`+s.dialect.forUpdate, orgID, id))
	if errors.Is(err, sql.ErrNoRows) {
		return e, notFound("there is no such endpoint")
	}
	if err != nil {
		return e, fmt.Errorf("find endpoint: %w", err)
	}
	return e, nil
}

// EndpointByName finds an endpoint of an organisation.
func (s *Store) EndpointByName(ctx context.Context, orgID int64, name string) (migration.Endpoint, error) {
	e, err := scanEndpoint(s.r.QueryRowContext(ctx, selectEndpoint+` WHERE org_id = $1 AND name = $2`, orgID, name))
	if errors.Is(err, sql.ErrNoRows) {
		return migration.Endpoint{}, notFound("there is no endpoint %q", name)
	}
	if err != nil {
		return migration.Endpoint{}, fmt.Errorf("find endpoint: %w", err)
	}
	return e, nil
}

// EndpointByID finds an endpoint of any organisation.
func (s *Store) EndpointByID(ctx context.Context, id int64) (migration.Endpoint, error) {
	e, err := scanEndpoint(s.r.QueryRowContext(ctx, selectEndpoint+` WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return migration.Endpoint{}, notFound("there is no such endpoint")
	}
	if err != nil {
		return migration.Endpoint{}, fmt.Errorf("find endpoint: %w", err)
	}
	return e, nil
}

// ListEndpoints returns an organisation's endpoints by name.
func (s *Store) ListEndpoints(ctx context.Context, orgID int64) ([]migration.Endpoint, error) {
	var out []migration.Endpoint
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		e, err := scanEndpoint(rows)
		out = append(out, e)
		return err
	}, selectEndpoint+` WHERE org_id = $1 ORDER BY name`, orgID)
	if err != nil {
		return nil, fmt.Errorf("list endpoints: %w", err)
	}
	return out, nil
}

// DeleteEndpoint deletes an endpoint; one that a batch uses is a conflict.
func (s *Store) DeleteEndpoint(ctx context.Context, orgID int64, name string) error {
	return s.write(ctx, "delete endpoint", func(tx *sql.Tx) error {
		var id int64
		err := tx.QueryRowContext(ctx, `SELECT id FROM endpoints WHERE org_id = $1 AND name = $2`+s.dialect.forDelete, orgID, name).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound("there is no endpoint %q", name)
		}
		if err != nil {
			return err
		}
		var batch string
		err = tx.QueryRowContext(ctx, `SELECT name FROM batches WHERE org_id = $1 AND (source_endpoint_id = $2 OR target_endpoint_id = $2)
			ORDER BY name LIMIT 1`, orgID, id).Scan(&batch)
		if err == nil {
			return conflict("endpoint %q is in use by batch %q", name, batch)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		for _, q := range []string{`DELETE FROM endpoint_traffic WHERE endpoint_id = $1`, emptyScope, `DELETE FROM endpoints WHERE id = $1`} {
			if _, err := tx.ExecContext(ctx, q, id); err != nil {
				return err
			}
		}
		return s.scrubLater(ctx, tx)
	})
}

// SetPark parks an endpoint, or with the zero Park opens it again.
func (s *Store) SetPark(ctx context.Context, endpointID int64, p migration.Park) error {
	return s.write(ctx, "park endpoint", func(tx *sql.Tx) error {
		n, err := execN(ctx, tx, `UPDATE endpoints SET park_until = $2, park_interval = $3, park_code = $4, park_reason = $5, park_held = $6
			WHERE id = $1`, endpointID, at(p.Until), p.Interval.Microseconds(), string(p.Code), p.Reason, p.Held)
		if err == nil && n == 0 {
			return notFound("there is no such endpoint")
		}
		return err
	})
}

// AdminWorked notes that a pass got in with an endpoint's administrator's password, unless
// it has another by now.
func (s *Store) AdminWorked(ctx context.Context, e *migration.Endpoint, when time.Time) error {
	return s.write(ctx, "note the administrator's login", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE endpoints SET admin_worked_at = $3 WHERE id = $1 AND admin_secret = $2`, e.ID, e.AdminSecret, at(when))
		return err
	})
}

// SlotsInUse returns the slots in use, over all organisations. A pass that has both
// sides at one endpoint counts once.
func (s *Store) SlotsInUse(ctx context.Context) ([]migration.Slots, error) {
	var out []migration.Slots
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		var v migration.Slots
		if err := rows.Scan(&v.EndpointID, &v.OrgID, &v.Org, &v.Endpoint, &v.Kind, &v.InUse); err != nil {
			return err
		}
		out = append(out, v)
		return nil
	}, `SELECT e.id, e.org_id, o.name, e.name, l.kind, COUNT(*)
		FROM leases l JOIN endpoints e ON e.id IN (l.source_endpoint_id, l.target_endpoint_id) JOIN orgs o ON o.id = e.org_id
		WHERE l.state <> 'free' GROUP BY e.id, e.org_id, o.name, e.name, l.kind ORDER BY o.name, e.name, l.kind`)
	if err != nil {
		return nil, fmt.Errorf("count slots: %w", err)
	}
	return out, nil
}
