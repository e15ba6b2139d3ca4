package app

import (
	"slices"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestPresetsQuirksReachTheConnection(t *testing.T) {
	for preset, has := range map[string]bool{
		"microsoft365": quirksOf("microsoft365").FoldsCase && quirksOf("microsoft365").Forbidden == "/",
		"gmail":        quirksOf("gmail").TrimsNames,
		"netease-corp": quirksOf("netease-corp").NeedsID,
		"icloud":       slices.Contains(quirksOf("icloud").Missing, "LITERAL+"),
		"yahoo":        shownOf("yahoo") == 10_000,
		"none":         quirksOf("").Forbidden == "" && !quirksOf("").NeedsID,
	} {
		if !has {
			t.Errorf("%s: its quirks are lost", preset)
		}
	}
}

func TestExchangesOwnFoldersAreLeftOut(t *testing.T) {
	e := migration.EndpointSpec{Preset: "exchange"}
	for _, name := range []string{"Outbox", "Sync Issues", "Conversation History", "Public Folders", "Postausgang", "Öffentliche Ordner"} {
		if !slices.Contains(leaveOut(e), name) {
			t.Errorf("%s is not left out", name)
		}
	}
	e.Namespaces = []string{migration.SharedFolders}
	if got := leaveOut(e); slices.Contains(got, "Public Folders") || !slices.Contains(got, "Outbox") {
		t.Errorf("public folders are asked for, and left out is %q", got)
	}
	for _, preset := range []string{"", "microsoft365", "dovecot"} {
		if got := leaveOut(migration.EndpointSpec{Preset: preset}); len(got) > 0 {
			t.Errorf("preset %q leaves out %q", preset, got)
		}
	}
}
