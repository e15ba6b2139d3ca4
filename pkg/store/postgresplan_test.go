package store

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/test/servers"
)

// TestPostgresPlans: with 50,000 users in a batch beside others, what runs for every
// pass and every tick reads no table from end to end.
func TestPostgresPlans(t *testing.T) {
	s := openerOf(servers.Postgres(t).URL)(t)
	w := newWorld(t, s, "acme")
	b := w.plan("big", w.source, w.target)
	_, err := s.CreateBatch(t.Context(), b, rows(50_000, noon.Add(time.Hour)))
	w.ok(err)
	_, err = s.w.ExecContext(t.Context(), `ANALYZE`)
	w.ok(err)
	id, user, due := fmt.Sprint(b.ID), `'user000007@example.org'`, fmt.Sprint(at(noon))
	for _, q := range []struct {
		query string
		args  []string
	}{
		{dueUsers, []string{id, "6", due, "0", "0", "32"}},
		{earliestDue, []string{id}},
		{liveSlots, nil},
		{selectHeld + s.dialect.forUpdate, []string{"7", "'running'"}},
		{queueUser, []string{"7", due}},
		{selectUser + ` WHERE id = $1`, []string{"7"}},
		{selectUser + ` WHERE batch_id = $1 AND email_key = $2`, []string{id, user}},
		{listUsers, []string{id, user, "100", "''"}},
		{listUsersOfStatus, []string{id, user, "100", "''", "'Created'"}},
		{removable + ` LIMIT 500`, nil},
		{freeLease + freeQueuedOfUser, []string{"7"}},
	} {
		query := q.query
		for i, arg := range q.args {
			query = strings.ReplaceAll(query, fmt.Sprint("$", i+1), arg)
		}
		var plan strings.Builder
		err := each(t.Context(), s.r, func(rows *sql.Rows) error {
			var line string
			err := rows.Scan(&line)
			plan.WriteString(line + "\n")
			return err
		}, `EXPLAIN `+query)
		w.ok(err)
		if strings.Contains(plan.String(), "Seq Scan on users") {
			t.Errorf("%s\n%s", query, plan.String())
		}
	}
}
