package mailsync

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// TestRecordSurvivesStorage drives a record with deliveries, re-flaggings and skips
// in any order, commits now and then, and compares it with a plain map and with what
// is loaded from the windows.
func TestRecordSurvivesStorage(t *testing.T) {
	type delivered struct {
		dst   mailbox.UID
		flags string
	}
	rapid.Check(t, func(t *rapid.T) {
		r := newRecord("INBOX")
		r.Target, r.SourceValidity = "INBOX", 7
		want := map[mailbox.UID]delivered{}
		skipped := map[mailbox.UID]bool{}
		stored := map[string]*migration.FolderRecord{}
		n := rapid.IntRange(1, 120).Draw(t, "steps")
		for i := range n {
			src := mailbox.UID(rapid.IntRange(1, 40).Draw(t, "src"))
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				if _, ok := want[src]; !ok {
					r.skip(src, migration.Item{UID: uint32(src), Folder: "INBOX", Reason: fmt.Sprint(i)})
					skipped[src] = true
				}
			case 1:
				r.Finished = rapid.Bool().Draw(t, "finished")
				w, err := r.window(migration.Tally{})
				if err != nil {
					t.Fatal(err)
				}
				w.Apply(stored)
			default:
				d := delivered{mailbox.UID(rapid.IntRange(0, 3).Draw(t, "dst")) * (src + 100), rapid.SampledFrom([]string{"", `\Seen`, `$Work \Seen`}).Draw(t, "flags")}
				r.deliver(src, d.dst, mailbox.ParseFlags(d.flags))
				want[src] = d
				delete(skipped, src)
			}
		}
		w, err := r.window(migration.Tally{})
		if err != nil {
			t.Fatal(err)
		}
		w.Apply(stored)
		loaded, err := loadRecord(*stored["INBOX"])
		if err != nil {
			t.Fatal(err)
		}
		for name, rec := range map[string]*record{"in memory": r, "loaded": loaded} {
			got := map[mailbox.UID]delivered{}
			for u := range rec.uids.sources().All() {
				dst, flags, ok := rec.uids.get(u)
				if !ok {
					t.Fatalf("%s: uid %d is a source and not there", name, u)
				}
				got[u] = delivered{dst, flags.String()}
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: got %v\nwant %v", name, got, want)
			}
			if rec.uids.len() != int64(len(want)) || len(rec.skipped) != len(skipped) {
				t.Fatalf("%s: %d delivered, %d skipped, want %d, %d", name, rec.uids.len(), len(rec.skipped), len(want), len(skipped))
			}
			for i, x := range rec.uids.runs {
				if i > 0 && (rec.uids.runs[i-1].end() >= x.src || rec.uids.runs[i-1].joins(x)) {
					t.Fatalf("%s: runs %v overlap or should be one", name, rec.uids.runs)
				}
			}
		}
		if !reflect.DeepEqual(loaded.head, r.head) {
			t.Fatalf("head %+v, want %+v", loaded.head, r.head)
		}
	})
}

func TestRecordIsSmall(t *testing.T) {
	r := newRecord("INBOX")
	for u := mailbox.UID(1); u <= 100_000; u++ {
		r.deliver(u, u+5, mailbox.Flags{mailbox.Seen})
	}
	if b := r.encode(r.uids.runs, nil); len(b) > 40 {
		t.Errorf("100,000 messages in order take %d bytes", len(b))
	}
}

func TestDamagedRecordsAreRefused(t *testing.T) {
	r := newRecord("INBOX")
	for u := mailbox.UID(1); u < 50; u += 2 {
		r.deliver(u, u+5, mailbox.Flags{mailbox.Seen})
	}
	w, err := r.window(migration.Tally{})
	if err != nil {
		t.Fatal(err)
	}
	for cut := 1; cut < len(w.Append); cut++ {
		_, err := loadRecord(migration.FolderRecord{Folder: "INBOX", Head: w.Head, Journal: [][]byte{w.Append[:cut]}})
		if err == nil {
			t.Fatalf("a record cut at byte %d of %d was taken", cut, len(w.Append))
		}
	}
	if _, err := loadRecord(migration.FolderRecord{Folder: "INBOX", Head: []byte(`{"v":2}`)}); err == nil {
		t.Error("a record of an unknown version was taken")
	}
}

func FuzzReplay(f *testing.F) {
	r := newRecord("INBOX")
	r.deliver(1, 2, mailbox.Flags{mailbox.Seen})
	f.Add(r.encode(r.uids.runs, nil))
	f.Fuzz(func(t *testing.T, entry []byte) {
		r := newRecord("INBOX")
		if r.replay(entry) != nil {
			return // an error is fine, a panic is not
		}
		again := newRecord("INBOX")
		if err := again.replay(r.encode(r.uids.runs, r.items())); err != nil {
			t.Fatalf("%x is taken, and not when it is written anew: %v", entry, err)
		}
		if got, want := again.decided(), r.decided(); !slices.Equal(got, want) {
			t.Fatalf("%x: decided are %v, want %v", entry, got, want)
		}
	})
}
