package imapmail

import "context"

// Pacer holds connections to a rate that they share with others.
type Pacer interface {
	// Piece is how many bytes should go at a time, so that all have their turn often
	// enough for the servers' patience. It may be another number each time.
	Piece() int
	// Wait returns when n bytes may go, or at once with an error when ctx ends.
	Wait(ctx context.Context, n int) error
}

// receivable pays for the bytes that were read last, and cuts p to what may be read
// now. So bytes are passed on the moment that they are here, and no deadline runs
// while the next are waited for; what was read last before the end of the connection
// may go unpaid.
func (c *conn) receivable(p []byte) ([]byte, error) {
	if c.pace == nil {
		return p, nil
	}
	err := c.pace.Wait(c.life, c.owed)
	c.owed = 0
	return p[:min(len(p), c.pace.Piece())], err
}

// sendable is the part of p that may be sent now; it waits for its turn. That is not
// the server's doing: its time begins anew afterwards.
func (c *conn) sendable(p []byte) ([]byte, error) {
	if c.pace == nil {
		return p[:min(len(p), writeChunk)], nil
	}
	p = p[:min(len(p), writeChunk, c.pace.Piece())]
	c.hold(1)
	defer c.hold(-1)
	return p, c.pace.Wait(c.life, len(p))
}

// hold stops the server's time while n is above 0 in sum.
func (c *conn) hold(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held += n
	c.schedule()
}
