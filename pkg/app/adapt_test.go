package app

import (
	"slices"
	"testing"
)

func TestPresetsQuirksReachTheConnection(t *testing.T) {
	for preset, has := range map[string]bool{
		"microsoft365": quirksOf("microsoft365").FoldsCase && quirksOf("microsoft365").Forbidden == "/",
		"gmail":        quirksOf("gmail").TrimsNames,
		"netease-corp": quirksOf("netease-corp").NeedsID,
		"icloud":       slices.Contains(quirksOf("icloud").Missing, "LITERAL+"),
		"none":         quirksOf("").Forbidden == "" && !quirksOf("").NeedsID,
	} {
		if !has {
			t.Errorf("%s: its quirks are lost", preset)
		}
	}
}
