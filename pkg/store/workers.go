package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// BeatWorker writes what a worker tells of itself and raises its counter; the first
// beat makes it known. drain is whether an operator asked it to drain.
func (s *Store) BeatWorker(ctx context.Context, w migration.Worker) (drain bool, err error) {
	tempo, err := jsonText(w.Tempo)
	if err != nil {
		return false, fmt.Errorf("beat of worker: %w", err)
	}
	err = s.write(ctx, "beat of worker", func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `INSERT INTO workers (id, host, pid, version, concurrency, started_at, state, since, tempo, beat)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1)
			ON CONFLICT (id) DO UPDATE SET beat = workers.beat + 1, tempo = excluded.tempo, gone = FALSE, state = excluded.state,
				since = CASE WHEN workers.gone OR workers.state <> excluded.state THEN excluded.since ELSE workers.since END
			RETURNING drain`,
			w.ID, w.Host, w.PID, w.Version, w.Concurrency, at(w.StartedAt), string(w.State), at(s.now()), tempo).Scan(&drain)
	})
	return drain, err
}

// DrainWorker asks a worker to drain; it hears of it with its next beat.
func (s *Store) DrainWorker(ctx context.Context, id string) error {
	return s.write(ctx, "drain worker", func(tx *sql.Tx) error {
		n, err := execN(ctx, tx, `UPDATE workers SET drain = TRUE WHERE id = $1`, id)
		if err == nil && n == 0 {
			return notFound("there is no such worker")
		}
		return err
	})
}

// WorkerGone notes that the counter of a worker has stood still since it was beat.
func (s *Store) WorkerGone(ctx context.Context, id string, beat int64) error {
	return s.write(ctx, "note a worker gone", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE workers SET gone = TRUE, since = $3, lapsed_at = $3 WHERE id = $1 AND beat = $2 AND NOT gone`, id, beat, at(s.now()))
		return err
	})
}

// ForgetWorker deletes a worker: one that has ended (beat 0), or one whose counter has
// stood still since it was beat.
func (s *Store) ForgetWorker(ctx context.Context, id string, beat int64) error {
	return s.write(ctx, "forget worker", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM workers WHERE id = $1 AND ($2 = 0 OR beat = $2)`, id, beat)
		return err
	})
}

const selectWorker = `SELECT w.id, w.host, w.pid, w.version, w.concurrency, w.started_at, w.state, w.since, w.drain, w.gone, w.lapsed_at, w.beat, w.tempo, COALESCE(l.n, 0)
	FROM workers w LEFT JOIN (SELECT worker_id, COUNT(*) AS n FROM leases WHERE state <> 'free' AND state = 'running' GROUP BY worker_id) l
	ON l.worker_id = w.id`

func scanWorker(row interface{ Scan(...any) error }) (migration.Worker, error) {
	var w migration.Worker
	var gone bool
	err := row.Scan(&w.ID, &w.Host, &w.PID, &w.Version, &w.Concurrency, timeInto{&w.StartedAt}, &w.State, timeInto{&w.Since},
		&w.Drain, &gone, timeInto{&w.LapsedAt}, &w.Beat, jsonInto{&w.Tempo}, &w.Running)
	switch {
	case gone:
		w.State = migration.WorkerGone
	case w.Drain && w.State == migration.WorkerRunning:
		w.State = migration.WorkerDraining // it hears of it with its next beat
	}
	return w, err
}

// Workers returns all workers, by host and start.
func (s *Store) Workers(ctx context.Context) ([]migration.Worker, error) {
	var out []migration.Worker
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		w, err := scanWorker(rows)
		out = append(out, w)
		return err
	}, selectWorker+` ORDER BY w.host, w.started_at, w.id`)
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	return out, nil
}

// Worker finds one worker.
func (s *Store) Worker(ctx context.Context, id string) (migration.Worker, error) {
	w, err := scanWorker(s.r.QueryRowContext(ctx, selectWorker+` WHERE w.id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return migration.Worker{}, notFound("there is no such worker")
	}
	if err != nil {
		return migration.Worker{}, fmt.Errorf("find worker: %w", err)
	}
	return w, nil
}
