package mailsync_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	benchFolders  = 8
	benchMessages = 2000
	benchChanges  = 50 // new messages, and as many changed flags
)

// BenchmarkEngine is the engine alone, between two mailboxes in memory: what it costs
// beside the servers and the network. The mailboxes' own share is in the figures; it
// stays the same while the engine changes.
func BenchmarkEngine(b *testing.B) {
	b.Run("initial", func(b *testing.B) {
		source := benchSource()
		per(b, "msg", benchMessages, func() func() {
			target, records := mailboxtest.NewMemory(), mailsync.NewMemoryRecords()
			return func() { benchPass(b, source, target, records, benchMessages) }
		})
	})
	b.Run("noop", func(b *testing.B) {
		source, target, records := benchSource(), mailboxtest.NewMemory(), mailsync.NewMemoryRecords()
		benchPass(b, source, target, records, benchMessages)
		per(b, "pass", 1, func() func() {
			return func() { benchPass(b, source, target, records, 0) }
		})
	})
	b.Run("incremental", func(b *testing.B) {
		per(b, "msg", 2*benchChanges, func() func() {
			source, target, records := benchSource(), mailboxtest.NewMemory(), mailsync.NewMemoryRecords()
			benchPass(b, source, target, records, benchMessages)
			for i := range benchChanges {
				folder := benchFolder(i)
				source.SetFlags(folder, mailbox.UID(1+i/benchFolders), mailbox.Flagged, "Later")
				source.Deliver(folder, benchLetter(benchMessages+i), day)
			}
			return func() { benchPass(b, source, target, records, benchChanges) }
		})
	})
}

// per times what prepare returns, without prepare, and reports it by message or pass.
func per(b *testing.B, unit string, units int, prepare func() func()) {
	b.Helper()
	var before, after runtime.MemStats
	var allocs, bytes uint64
	for range b.N {
		b.StopTimer()
		do := prepare()
		runtime.ReadMemStats(&before)
		b.StartTimer()
		do()
		b.StopTimer()
		runtime.ReadMemStats(&after)
		allocs += after.Mallocs - before.Mallocs
		bytes += after.TotalAlloc - before.TotalAlloc
	}
	n := float64(b.N) * float64(units)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/"+unit)
	b.ReportMetric(float64(allocs)/n, "allocs/"+unit)
	b.ReportMetric(float64(bytes)/n, "B/"+unit)
	b.ReportMetric(0, "ns/op") // leaves it out
}

func benchPass(b *testing.B, source, target *mailboxtest.Memory, records mailsync.Records, copied int64) {
	b.Helper()
	out, err := mailsync.Run(context.Background(), mailsync.Job{Source: source.Open, Target: target.Open, Records: records})
	if err != nil || out.Tally.Copied != copied {
		b.Fatalf("copied %d, want %d: %v", out.Tally.Copied, copied, err)
	}
}

func benchSource() *mailboxtest.Memory {
	m := mailboxtest.NewMemory()
	m.Side = migration.Source
	for i := range benchMessages {
		m.Deliver(benchFolder(i), benchLetter(i), day, mailbox.Seen)
	}
	return m
}

func benchFolder(i int) string {
	if i %= benchFolders; i > 0 {
		return fmt.Sprint("Folder", i)
	}
	return "INBOX"
}

// benchLetter is a message of four kilobytes: small, so that what each message costs
// shows beside its bytes.
func benchLetter(i int) []byte {
	return letter(fmt.Sprint(i), strings.Repeat("A line of a message of ordinary length, sixty-two bytes of it.\r\n", 64))
}
