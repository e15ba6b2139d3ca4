package mailsync

import (
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// How much is asked of the source before it is its turn, beyond the folder that is:
// enough for small folders to come one right after the other, and no more than may be
// asked for in vain when the pass ends before.
const (
	foreseeMessages = 500
	foreseeBytes    = 8 << 20
)

// foresee tells the source what will be read of the first folders of the queue. It
// names only what prepare and stream will certainly ask, unless something changes that
// the survey did not show.
func (p *lane) foresee(queue []*work) {
	p.source.use.Lock()
	defer p.source.use.Unlock()
	source := p.source.current()
	if source == nil {
		return
	}
	var ahead []mailbox.Foreseen
	messages, bytes := int64(0), int64(0)
	for i, f := range queue {
		if f.isEmpty() {
			continue
		}
		ask, whole, ok := p.foreseeable(f)
		if !ok {
			break
		}
		if i > 0 {
			n := f.toRead()
			messages += n
			bytes += max(0, f.src.Size) * n / max(1, int64(f.src.Messages))
		}
		if messages > foreseeMessages || bytes > foreseeBytes {
			break
		}
		if ahead = append(ahead, ask); !whole {
			break
		}
	}
	if len(ahead) > 0 {
		source.Foresee(ahead)
	}
}

// isEmpty reports whether there is nothing to open a folder for.
func (f *work) isEmpty() bool {
	return f.src != nil && f.src.Messages == 0 && f.rec.uids.len() == 0
}

// toRead is about how many messages are read whole.
func (f *work) toRead() int64 {
	return min(int64(f.src.Messages), f.undecidedUIDs(mailbox.Selected{Status: *f.src}).Len())
}

// foreseeable is what will be read of a folder; whole is false where more will be asked
// of it than is known. ok is false where it depends on what its target holds.
func (p *pass) foreseeable(f *work) (ask mailbox.Foreseen, whole, ok bool) {
	dst := f.dst
	if dst == nil && f.rec.uids.len() == 0 {
		dst = &mailbox.Status{UIDNext: 1} // about to be made
	}
	plain := f.src != nil && dst != nil && dst.UIDNext != 0 && !f.rec.Writing && !f.fresh && !f.settled &&
		f.only == nil && f.refused == nil && f.stuck == 0 && time.Until(f.notBefore) <= 0
	if !plain || f.unexplained(dst.UIDNext).Len() > 0 {
		return mailbox.Foreseen{}, false, false
	}
	ask.Folder = f.source.Name
	if flags, ok := f.flagsToRead(f.src.HighestModSeq); ok {
		ask.Reads = append(ask.Reads, flags)
	}
	if skipped := f.rec.skippedUIDs(); len(skipped) > 0 {
		ask.Reads = append(ask.Reads, mailbox.Read{Set: skipped})
	}
	copied := f.undecidedUIDs(mailbox.Selected{Status: *f.src})
	if len(copied) == 0 {
		return ask, true, true
	}
	if !p.job.dates().any() {
		return mailbox.Foreseen{}, false, false // their dates come first
	}
	if p.mayShare(f) || len(p.pieces(copied, *f.src)) > 1 {
		return ask, false, true
	}
	// Whatever comes in meanwhile is read too.
	copied = f.undecidedUIDs(mailbox.Selected{Status: mailbox.Status{Messages: f.src.Messages}})
	ask.Reads = append(ask.Reads, mailbox.Read{Set: copied, Whole: true})
	return ask, true, true
}
