package pass

// leaveOut are the folders that the source's preset leaves out by default.
func (p *pass) leaveOut() []string {
	if p.r.LeaveOut == nil {
		return nil
	}
	return p.r.LeaveOut(p.source.endpoint.EndpointSpec)
}

// shown is how many messages of a folder the source shows at most; 0: all.
func (p *pass) shown() int64 {
	if p.r.Shown == nil {
		return 0
	}
	return p.r.Shown(p.source.endpoint.Preset)
}
