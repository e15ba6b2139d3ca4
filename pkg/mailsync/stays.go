package mailsync

import (
	"fmt"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// stays lists what stays behind at the source although no folder or message failed: the
// folders that are left out by default and hold mail, and those of which the source shows
// no more. An operator has to see both: nothing else tells of them.
func (p *pass) stays() []migration.Item {
	var out []migration.Item
	for _, f := range p.leftOut {
		if f.Status != nil && f.Status.Messages == 0 {
			continue
		}
		messages := "its mail"
		if f.Status != nil {
			messages = fmt.Sprintf("%d messages", f.Status.Messages)
		}
		out = append(out, migration.Item{Folder: displayPath(f), Code: migration.LeftOutByPreset, Reason: "left out by default, with " + messages})
	}
	for _, w := range p.all {
		if p.isCutShort(w.src) {
			out = append(out, migration.Item{Folder: displayPath(w.source), Code: migration.FolderNotWhole, Reason: p.notWhole(w)})
		}
	}
	return out
}

// isCutShort reports whether a folder has as many messages as the source shows at most:
// what it no longer shows is not gone.
func (p *pass) isCutShort(s *mailbox.Status) bool {
	return p.job.Shown > 0 && s != nil && int64(s.Messages) >= p.job.Shown
}

func (p *pass) notWhole(w *work) string {
	return fmt.Sprintf("%d messages show, and the source shows at most %d of a folder: there may be older ones that cannot be seen", w.src.Messages, p.job.Shown)
}
