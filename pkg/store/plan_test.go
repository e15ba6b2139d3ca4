package store

import (
	"database/sql"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// wholeTable is how SQLite tells of a table that it reads from end to end.
var wholeTable = regexp.MustCompile(`^SCAN (\w{1,2}|orgs|batches|endpoints|users|events|items|preflights|records|journal|leases)$`)

// TestPlans: the queries that run often, or over large batches, find their rows by
// index: none reads a whole table.
func TestPlans(t *testing.T) {
	s, err := Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, query := range []string{
		anyDue, dueBatches, dueUsers, liveSlots, earliestDue,
		startUsers, unstopUsers, stopRunning, stopWaiting, restFailed, syncUsers, completeUsers, verifyUsers,
		preflightUsers, forgetPreflights, endPreflights, outrunPreflights, stillPreflighting, preflightGroups, listPreflights, pilots,
		freeLease + freeQueuedPreflights,
		freeLease + freeQueuedOfBatch, freeLease + freeQueuedOfUser, freeLease + queuedPieces, pieceEnd, removePiece, removed, notMarked,
		removable + ` LIMIT 500`,
		`DELETE FROM events WHERE user_id IN ($1) AND user_id <> 0 AND actor = ''`,
		`DELETE FROM events WHERE batch_id = $1 AND batch_id <> 0 AND actor = ''`,
		`SELECT ` + leaseColumns + ` FROM leases WHERE token = $1 AND state = 'running'`,
		`SELECT ` + leaseColumns + ` FROM leases WHERE state <> 'free'`,
		listUsers, listUsersOfStatus,
		selectEvent + ` WHERE org_id = $1 AND id > $2 AND batch_id = $4 AND batch_id <> 0 ORDER BY id LIMIT $3`,
		selectEvent + ` WHERE org_id = $1 AND actor <> '' AND (id < $2 OR $2 = 0) ORDER BY id DESC LIMIT $3`,
		duplicateQuery("email_key"), duplicateQuery("target_login"), oppositeUsers(sameAddress), oppositeUsers(crossLogins), comesBack, lastHop,
		passesOf, madeOf, dead,
		summaryQuery, usersByStatus, backlog, ahead,
		`SELECT COUNT(*) FROM leases WHERE state <> 'free'`,
	} {
		args := 0
		for strings.Contains(query, "$"+strconv.Itoa(args+1)) {
			args++
		}
		err := each(t.Context(), s.r, func(rows *sql.Rows) error {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				return err
			}
			if wholeTable.MatchString(detail) {
				t.Errorf("%s\n\tin %s", detail, query)
			}
			return nil
		}, `EXPLAIN QUERY PLAN `+query, make([]any, args)...)
		if err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
}
