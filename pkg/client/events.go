package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// maxEvent bounds one line of the stream.
const maxEvent = 1 << 20

// Events calls each for the batch's events after one, as they happen, until ctx ends,
// the stream does, or each returns an error. To go on after a break, call it again
// with the last event's ID.
func (c *Client) Events(ctx context.Context, batch string, after int64, each func(Event) error) error {
	k := call{method: http.MethodGet, path: c.inOrg("batches", batch, "events"), accept: "text/event-stream"}
	if after > 0 {
		k.lastEventID = strconv.FormatInt(after, 10)
	}
	res, err := c.do(ctx, k)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return fmt.Errorf("understand an event: %w", err)
		}
		if err := each(e); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: read the events: %w", ErrUnreachable, err)
	}
	return context.Cause(ctx)
}
