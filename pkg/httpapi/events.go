package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Bounds of one stream of events.
const (
	eventsAtOnce = 200
	// heartbeat keeps the line alive through proxies; with it the token is looked at
	// again.
	heartbeat    = 15 * time.Second
	writeEventIn = 30 * time.Second
)

func (a *api) eventRoutes() {
	route(a, migration.Viewer, http.MethodGet, batchPath+"/events", "events", "Follow what happens to a batch, as server-sent events",
		func(ctx context.Context, who control.Actor, in *struct {
			BatchPath
			Last string `header:"Last-Event-ID" doc:"go on after this event; absent: from the beginning"`
		},
		) (*huma.StreamResponse, error) {
			after := int64(0)
			if in.Last != "" {
				var err error
				if after, err = strconv.ParseInt(in.Last, 10, 64); err != nil || after < 0 {
					return nil, invalid("Last-Event-ID: not one of ours")
				}
			}
			list, err := a.Control.Events(ctx, who, in.Org, in.Name, after, eventsAtOnce)
			if err != nil {
				return nil, err
			}
			select {
			case a.streams <- struct{}{}:
			default:
				return nil, problemOf(http.StatusTooManyRequests, migration.Throttled, "too many streams are open")
			}
			return &huma.StreamResponse{Body: func(out huma.Context) {
				defer func() { <-a.streams }()
				r, w := humago.Unwrap(out)
				s := stream{api: a, w: w, line: http.NewResponseController(w), org: in.Org, batch: in.Name, last: after, token: bearer(r)}
				s.run(r.Context(), list)
			}}, nil
		}, streams("text/event-stream"))
}

// stream is one client that listens to one batch.
type stream struct {
	api        *api
	w          http.ResponseWriter
	line       *http.ResponseController
	org, batch string
	last       int64
	token      string
}

// run sends events until the client, the batch or the token is gone, or the server
// closes.
func (s *stream) run(ctx context.Context, list []control.Event) {
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	s.w.WriteHeader(http.StatusOK)
	look, beat := time.NewTicker(s.api.EventsEvery), time.NewTicker(heartbeat)
	defer look.Stop()
	defer beat.Stop()
	who := actor(ctx)
	for {
		if !s.send(list) {
			return
		}
		if len(list) < eventsAtOnce {
			select {
			case <-ctx.Done():
				return
			case <-s.api.Closing:
				return
			case <-beat.C:
				var err error
				if who, err = s.api.whoIs(ctx, s.token); err != nil || !s.write(": still there\n\n") {
					return
				}
			case <-look.C:
			}
		}
		var err error
		if list, err = s.api.Control.Events(ctx, who, s.org, s.batch, s.last, eventsAtOnce); err != nil {
			return
		}
	}
}

func (s *stream) send(list []control.Event) bool {
	for _, e := range list {
		data, err := json.Marshal(eventWire(e))
		if err != nil || !s.write(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, data)) {
			return false
		}
		s.last = e.ID
	}
	_ = s.line.SetWriteDeadline(time.Now().Add(writeEventIn))
	return s.line.Flush() == nil
}

func (s *stream) write(text string) bool {
	_ = s.line.SetWriteDeadline(time.Now().Add(writeEventIn))
	_, err := io.WriteString(s.w, text)
	return err == nil
}
