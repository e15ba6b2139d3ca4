package pass

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// TestTheLogTellsTheStoryOfAPass: one that goes well, and one that the target cuts
// off, from begin to end, by the same keys; and nothing that is the user's own.
func TestTheLogTellsTheStoryOfAPass(t *testing.T) {
	user := alice()
	user.SourceSecret = []byte("canary-password")
	for _, story := range []struct {
		name  string
		err   error
		lines string
	}{
		{"it goes well", nil, "pass begins, window committed, window committed, pass ended"},
		{"the target cuts it off", fault(migration.QuotaExceeded, migration.ScopeUser, migration.Target), "pass begins, window committed, window committed, pass ended"},
		{"the source is not there", errors.New("nobody"), "pass begins, window committed, window committed, pass ended"},
	} {
		w := newWorld(t, nil, user)
		core, seen := observer.New(zap.DebugLevel)
		w.Log = zap.New(core)
		w.engine(func(ctx context.Context, job mailsync.Job) (mailsync.Outcome, error) {
			for i, folder := range []string{"INBOX", "Holiday"} {
				tally := migration.Tally{Seen: 2, Copied: int64(i + 1)}
				if err := job.Records.Commit(ctx, migration.Window{Folder: folder, Head: []byte("h"), Append: []byte("j"), Tally: tally}); err != nil {
					return mailsync.Outcome{}, err
				}
			}
			return mailsync.Outcome{Tally: migration.Tally{Seen: 2, Copied: 2}, Progress: true}, story.err
		})
		l := w.admit()
		w.Handle(t.Context(), l.UserID, l.Token)
		var lines []string
		for _, line := range seen.All() {
			lines = append(lines, line.Message)
			fields := line.ContextMap()
			for key, want := range map[string]any{
				"user": l.UserID, "token": l.Token, "worker": "w1", "batch": "b", "kind": "first", "org": w.batch.OrgID,
			} {
				if fields[key] != want {
					t.Errorf("%s: %q says %s=%v, want %v", story.name, line.Message, key, fields[key], want)
				}
			}
			whole := line.Message + fmt.Sprint(fields)
			private := []string{"canary-password", "alice"}
			if line.Level > zapcore.DebugLevel {
				private = append(private, "Holiday")
			}
			for _, word := range private {
				if strings.Contains(whole, word) {
					t.Errorf("%s: the log tells %q: %s", story.name, word, whole)
				}
			}
		}
		if got := strings.Join(lines, ", "); got != story.lines {
			t.Errorf("%s: the log says\n%s\nwant\n%s", story.name, got, story.lines)
		}
		last := seen.All()[len(lines)-1]
		end := last.ContextMap()
		if story.err == nil && (end["result"] != "done" || end["copied"] != int64(2) || last.Level != zapcore.InfoLevel) ||
			story.err != nil && (end["code"] == "" || end["code"] == nil || last.Level != zapcore.WarnLevel) {
			t.Errorf("%s: it ends with %s %v", story.name, last.Level, end)
		}
	}
}
