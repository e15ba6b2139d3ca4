package store

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func testRemove(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", due("ann@example.org"), due("bob@example.org"), due("cid@example.org", func(u *migration.User) { u.NextRunAt = time.Time{} }))
	leases := w.admit(10)
	running := w.claim(leases[0])
	w.ok(s.RemoveUser(ctx, leases[1].UserID)) // admitted, not claimed
	_, err := s.UserByID(ctx, leases[1].UserID)
	w.refused(err, migration.NotFound)
	_, err = s.Claim(ctx, leases[1].Token, "worker")
	lost(t, "claim of a removed user's lease", err)
	w.refused(s.RemoveUser(ctx, 4711), migration.NotFound)

	n, err := s.RemoveUsers(ctx, b.ID)
	w.ok(err)
	equal(t, "removed", n, 2)
	ann := w.user(b, "ann@example.org")
	if ann.Status != migration.UserRemoving || !ann.Removing {
		t.Errorf("a running user: %+v", ann.UserState)
	}
	_, err = s.UserByEmail(ctx, b.ID, "cid@example.org")
	w.refused(err, migration.NotFound)

	b.Removing = true
	w.ok(s.UpdateBatch(ctx, b))
	if n, err := s.PurgeRemoved(ctx); n != 0 || err != nil {
		t.Errorf("purged %d, %v while a pass runs", n, err)
	}
	_, err = s.CreateBatch(ctx, w.plan("pilot", w.source, w.target), seq())
	if reason := w.refused(err, migration.Conflict); !strings.Contains(reason, "removed") {
		t.Errorf("reason: %s", reason)
	}
	w.inStep(running)
	if n, err := s.PurgeRemoved(ctx); n != 2 || err != nil {
		t.Errorf("purged %d, %v; want the user and the batch", n, err)
	}
	_, err = s.BatchByID(ctx, b.ID)
	w.refused(err, migration.NotFound)
	if n, err := s.PurgeRemoved(ctx); n != 0 || err != nil {
		t.Errorf("purged %d, %v the second time", n, err)
	}
}

// testPurge: of a removed batch nothing is left but audit lines, usage totals, a
// report that was kept, and free lease rows that tell nothing.
func testPurge(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	before := w.rows()
	var users []migration.User
	for i := range 1200 {
		u := due(fmt.Sprintf("canary%04d@example.org", i))
		u.SourceSecret, u.TargetSecret = []byte("SEALED-CANARY-SOURCE"), []byte("SEALED-CANARY-TARGET")
		users = append(users, u)
	}
	b := w.batch("canary-batch", users...)
	w.ok(s.AddEvent(ctx, migration.Event{OrgID: w.org.ID, BatchID: b.ID, Kind: "batch.created", Actor: "t1", At: noon}))
	w.ok(s.AddEvent(ctx, migration.Event{OrgID: w.org.ID, BatchID: b.ID, Kind: "batch.started", At: noon}))
	for _, l := range w.admit(10) {
		l = w.claim(l)
		w.ok(s.Commit(ctx, l.Token, migration.Window{
			Folder: "canary-folder", Head: []byte("canary-head"), Append: []byte("canary-journal"), Tally: migration.Tally{Copied: 1, Bytes: 100},
			Items: []migration.Item{{Folder: "canary-folder", UID: 1, Code: migration.MessageTooLarge}},
		}))
		w.ok(s.PutReceipt(ctx, l.UserID, migration.Receipt{Digest: "canary-receipt"}))
		w.ok(s.Finish(ctx, l.Token, migration.UserState{Status: migration.UserSynced, FirstSyncedAt: noon}, migration.Totals{Copied: 1, Bytes: 100},
			migration.Tally{Copied: 1, Bytes: 100}, nil, []migration.Event{{Kind: "user.synced", At: noon, Data: map[string]any{"user": "canary"}}}))
	}
	w.ok(s.KeepReport(ctx, w.org.ID, "canary-batch", []byte("the report"), noon))
	b.Removing = true
	w.ok(s.UpdateBatch(ctx, b))
	n, err := s.RemoveUsers(ctx, b.ID)
	w.ok(err)
	equal(t, "removed", n, 1200)
	_, err = s.PurgeRemoved(ctx)
	w.ok(err)

	after := w.rows()
	for table, n := range after {
		want := before[table] + map[string]int{"events": 1, "usage": 10, "endpoint_traffic": 20, "reports": 1, "leases": 10}[table]
		if n != want {
			t.Errorf("table %s has %d rows, want %d", table, n, want)
		}
	}
	w.ok(each(ctx, s.r, func(rows *sql.Rows) error {
		cells := make([]any, 6)
		for i := range cells {
			cells[i] = new(any)
		}
		if err := rows.Scan(cells...); err != nil {
			return err
		}
		for i, want := range []any{"free", int64(0), nil, "", int64(0), ""} {
			if got := *cells[i].(*any); got != want {
				t.Errorf("column %d of a free lease is %v, want %v", i, got, want)
			}
		}
		return nil
	}, `SELECT state, org_id, user_id, kind, source_endpoint_id, worker_id FROM leases`))
	if got := usage(t, s, w.org.ID); got.Mailboxes != 10 || got.Bytes != 1000 {
		t.Errorf("usage: %+v", got)
	}
	w.gone("SEALED-CANARY", "canary0", "canary-head", "canary-journal", "canary-receipt", "canary-folder")
}

// testRemoveDies: who dies while it removes a batch leaves no half users and no secret of
// one that is marked, and nobody is let in; another process goes on from wherever that was.
func testRemoveDies(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	before := w.rows()
	dies := func(name string, users int) *migration.Batch {
		b := w.batch(name, many(name, users)...)
		_, err := s.w.ExecContext(ctx, `INSERT INTO records (org_id, user_id, folder, head) SELECT org_id, id, 'INBOX', $1 FROM users WHERE batch_id = $2`, []byte("head"), b.ID)
		w.ok(err)
		b.Removing = true
		w.ok(s.UpdateBatch(ctx, b))
		return b
	}
	dies("first", 3) // nobody is marked yet
	if n, err := s.PurgeRemoved(ctx); n != 4 || err != nil {
		t.Errorf("purged %d, %v; want the users and the batch", n, err)
	}
	const users = markedAtOnce + 3
	b := dies("second", users)
	n, upTo, more, err := s.markPiece(ctx, b.ID, "")
	if n != markedAtOnce || !more || err != nil {
		t.Fatalf("marked %d, more %v, %v", n, more, err)
	}
	w.leftOf(b, users, 3)
	_, _, more, err = s.markPiece(ctx, b.ID, upTo)
	w.ok(err)
	if more {
		t.Error("after the last user there are more")
	}
	n, more, err = s.purgePiece(ctx, ``)
	if n != erasedAtOnce || !more || err != nil {
		t.Fatalf("purged %d, more %v, %v", n, more, err)
	}
	w.leftOf(b, users-erasedAtOnce, 0)
	if n, err := s.PurgeRemoved(ctx); n != users-erasedAtOnce+1 || err != nil {
		t.Errorf("purged %d, %v; want the rest and the batch", n, err)
	}
	for table, n := range w.rows() {
		if n != before[table] {
			t.Errorf("table %s has %d rows, %d before", table, n, before[table])
		}
	}
}

// leftOf looks at a batch whose removal has begun: so many users are left, each with its
// record, and some are not marked, with their secrets.
func (w *world) leftOf(b *migration.Batch, users, unmarked int) {
	w.Helper()
	list, err := w.s.ListUsers(w.Context(), b.ID, migration.UserFilter{}, "", 2*users)
	w.ok(err)
	for _, u := range list {
		if u.Removing != (u.SourceSecret == nil) || u.Removing != (u.Status == migration.UserRemoving) {
			w.Errorf("%s: %+v, secret %q", u.EmailAddress, u.UserState, u.SourceSecret)
		}
		if !u.Removing {
			unmarked--
		}
	}
	equal(w.T, "unmarked users too few", unmarked, 0)
	equal(w.T, "users left", len(list), users)
	equal(w.T, "records left", w.count("records"), users)
	equal(w.T, "admitted", len(w.admit(10)), 0)
	if got, err := w.s.BatchByName(w.Context(), b.OrgID, b.Name); err != nil || !got.Removing {
		w.Errorf("the batch is %+v, %v", got, err)
	}
}

// rows counts the rows of each table.
func (w *world) rows() map[string]int {
	w.Helper()
	var tables []string
	list := `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`
	if w.s.dialect.name == sqlite.name {
		list = `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`
	}
	w.ok(each(w.Context(), w.s.r, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		tables = append(tables, name)
		return err
	}, list))
	n := map[string]int{}
	for _, table := range tables {
		n[table] = w.count(table)
	}
	return n
}

// gone checks that none of words is left in the database's files, where the store
// looks after them.
func (w *world) gone(words ...string) {
	w.Helper()
	if w.s.dialect.scrub == nil {
		return
	}
	equal(w.T, "chores left", w.count("chores"), 0)
	var seq int
	var name, path string
	w.ok(w.s.r.QueryRowContext(w.Context(), `PRAGMA database_list`).Scan(&seq, &name, &path))
	files, err := filepath.Glob(filepath.Dir(path) + "/*")
	w.ok(err)
	if len(files) < 2 {
		w.Fatalf("files of the database: %v", files)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		w.ok(err)
		for _, word := range words {
			if n := bytes.Count(content, []byte(word)); n > 0 {
				w.Errorf("%s holds %q %d times", filepath.Base(file), word, n)
			}
		}
	}
}

func testErase(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", due("ann@example.org", func(u *migration.User) {
		u.TargetSecret, u.Status, u.NextRunAt = []byte("SEALED-TARGET"), migration.UserFailed, time.Time{}
	}), due("bob@example.org"))
	ann := w.user(b, "ann@example.org")
	for range 2 {
		w.ok(s.EraseSecrets(ctx, ann.ID))
	}
	if u := w.user(b, "ann@example.org"); u.SourceSecret != nil || u.TargetSecret != nil {
		t.Errorf("secrets are %q, %q", u.SourceSecret, u.TargetSecret)
	}
	if u := w.user(b, "bob@example.org"); u.SourceSecret == nil {
		t.Error("another user's secret is gone")
	}
	bob := w.one()
	_, err := s.CompleteUsers(ctx, b.ID, noon)
	w.ok(err)
	w.inStep(bob)
	if u := w.user(b, "bob@example.org"); u.SourceSecret == nil {
		t.Error("the secret is gone before the last sync")
	}
	w.inStep(w.one())
	if u := w.user(b, "bob@example.org"); u.Status != migration.UserCompleted || u.SourceSecret != nil {
		t.Errorf("after the last sync: %s, secret %q", u.Status, u.SourceSecret)
	}
	_, err = s.PurgeRemoved(ctx)
	w.ok(err)
	w.gone("SEALED-TARGET", "sealed-source-ann", "sealed-source-bob")
}

// testRestart: what was there before a restart is there after it, leases and tokens
// included.
func testRestart(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", many("u", 5)...)
	l := w.claim(w.admit(2)[0])
	w.ok(s.Commit(ctx, l.Token, migration.Window{Folder: "INBOX", Head: []byte("h"), Append: []byte("j"), Tally: migration.Tally{Copied: 2}}))
	before, err := s.ListUsers(ctx, b.ID, migration.UserFilter{}, "", 10)
	w.ok(err)
	leases := w.live()
	w.ok(s.Close())

	w.s = open(t)
	after, err := w.s.ListUsers(ctx, b.ID, migration.UserFilter{}, "", 10)
	w.ok(err)
	if !reflect.DeepEqual(before, after) || !reflect.DeepEqual(leases, w.live()) {
		t.Errorf("after the restart:\n%+v\n%+v, before\n%+v\n%+v", after, w.live(), before, leases)
	}
	records, err := w.s.Records(ctx, l.Token)
	if err != nil || len(records) != 1 {
		t.Errorf("records: %+v, %v", records, err)
	}
	w.inStep(l)
	for _, next := range w.admit(10) {
		if next.Token <= leases[len(leases)-1].Token {
			t.Errorf("token %d is not new", next.Token)
		}
	}
	// A second process on the same file sees the same and may write as well.
	second := open(t)
	if got, err := second.ListBatches(ctx, w.org.ID, "", 10); len(got) != 1 || err != nil {
		t.Errorf("the second process sees %v, %v", got, err)
	}
	w.ok(second.AddEvent(ctx, migration.Event{OrgID: w.org.ID, Kind: "k", At: noon}))
	w.ok(w.s.Ping(ctx))
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for url, want := range map[string]string{
		"":                           "no scheme",
		"/tmp/x.db":                  "no scheme",
		"sqlite://relative.db":       "absolute",
		"mysql://h/x":                "mysql",
		"sqlite://" + dir + "/no/db": "no such file",
	} {
		s, err := Open(t.Context(), url)
		if err == nil {
			_ = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want one with %q", url, err, want)
		}
	}
}

func TestOpenRefusesNewerSchema(t *testing.T) {
	url := "sqlite://" + filepath.Join(t.TempDir(), "x.db")
	s, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.w.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, TRUE)`); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(t.Context(), url); err == nil {
		_ = s.Close()
		t.Fatal("a newer schema was opened")
	}
	if !strings.Contains(err.Error(), "999") {
		t.Errorf("error is %v", err)
	}
}

// TestOpenTogether: several processes may make the database at once.
func TestOpenTogether(t *testing.T) {
	url := "sqlite://" + filepath.Join(t.TempDir(), "x.db")
	var g errgroup.Group
	stores := make([]*Store, 4)
	for i := range stores {
		g.Go(func() (err error) {
			stores[i], err = Open(t.Context(), url)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	stores = slices.DeleteFunc(stores, func(s *Store) bool { return s == nil })
	for _, s := range stores {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFileMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := Open(t.Context(), "sqlite://"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, file := range []string{path, path + "-wal"} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode of %s is %v", filepath.Base(file), info.Mode())
		}
	}
}
