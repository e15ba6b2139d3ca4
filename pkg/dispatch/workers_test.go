package dispatch

import (
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestWhichWorkersAreGone(t *testing.T) {
	type look struct {
		at   int // seconds
		beat int64
	}
	still := func(from, to int) (out []look) {
		for s := from; s <= to; s += 4 {
			out = append(out, look{s, 5})
		}
		return out
	}
	rows := []struct {
		story string
		looks []look
		want  string // at the last look
	}{
		{"seen for the first time", []look{{0, 5}}, ""},
		{"stood still for 8 s", still(0, 8), ""},
		{"stood still for 12 s", still(0, 12), "gone"},
		{"beats", []look{{0, 5}, {4, 6}, {8, 7}, {12, 8}}, ""},
		{"the observer was frozen itself", []look{{0, 5}, {4, 5}, {30, 5}}, ""},
		{"stood still for an hour", still(0, 3600), "forgotten"},
	}
	start := time.Now()
	for _, row := range rows {
		r := roll{goneAfter: deadAfter, forgetAfter: forgetAfter}
		var gone, forgotten []migration.Worker
		for _, l := range row.looks {
			gone, forgotten = r.look([]migration.Worker{{ID: "w", Beat: l.beat}}, start.Add(time.Duration(l.at)*time.Second))
		}
		got := ""
		if len(gone) > 0 {
			got = "gone"
		}
		if len(forgotten) > 0 {
			got += "forgotten"
		}
		if got != row.want {
			t.Errorf("%s: %q, want %q", row.story, got, row.want)
		}
	}
}

// TestAWorkerThatStoppedBeatingIsListedAsGone: by the dispatcher, in the store; and
// after a while no more.
func TestAWorkerThatStoppedBeatingIsListedAsGone(t *testing.T) {
	db := newStore(t, 0)
	r := newReconciler(t, db, &fakeQueue{})
	r.roll = roll{goneAfter: 0, forgetAfter: time.Hour}
	_, err := db.BeatWorker(t.Context(), migration.Worker{ID: "w", State: migration.WorkerRunning, StartedAt: time.Now()})
	must(t, err)
	must(t, r.reconcile(t.Context()))
	list, err := db.Workers(t.Context())
	must(t, err)
	if len(list) != 1 || list[0].State != migration.WorkerGone {
		t.Errorf("workers: %+v", list)
	}
	r.roll.forgetAfter = 0
	must(t, r.reconcile(t.Context()))
	if list, err = db.Workers(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("workers: %+v, %v", list, err)
	}
}
