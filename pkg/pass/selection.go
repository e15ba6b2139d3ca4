package pass

import "github.com/mailhaul/mailhaul/pkg/mailsync"

// selection is what the batch carries, and what the source's preset says about it.
func (p *pass) selection() mailsync.Selection {
	s := mailsync.Selection{
		Include: p.batch.IncludeFolders, Exclude: p.batch.ExcludeFolders, MapFolders: p.batch.MapFolders,
		Since: p.batch.MailSince, Before: p.batch.MailBefore,
	}
	if p.r.LeaveOut != nil {
		s.LeaveOut = p.r.LeaveOut(p.source.endpoint.EndpointSpec)
	}
	if p.r.Shown != nil {
		s.Shown = p.r.Shown(p.source.endpoint.Preset)
	}
	return s
}
