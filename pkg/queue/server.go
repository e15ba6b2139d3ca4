package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Times of an ending server: handlers end by themselves within drainTime, then
// their context does, then they have killTime.
const (
	drainTime = 12 * time.Second
	killTime  = 5 * time.Second
	// pollInterval is how long a task waits for an idle worker, at the longest half
	// as long again.
	pollInterval = 100 * time.Millisecond
)

var errHandlersStuck = errors.New("passes did not end when their context did")

// Server takes tasks from the queue and runs them.
type Server struct {
	rdb    redis.UniversalClient
	asynq  *asynq.Server
	handle func(ctx context.Context, t Task)
	log    *zap.Logger
	// slots holds a value for every handler that runs.
	slots chan struct{}
	hard  context.Context
	kill  context.CancelCauseFunc
	// stop is closed when no task is to be taken any more.
	stop    chan struct{}
	stopped sync.Once

	drainTime, killTime time.Duration
}

// NewServer returns a server that runs at most concurrency handlers at once. The
// handler's context lasts beyond the end of Run's, so that it can end in its own
// time; it ends with cause migration.ErrDraining when that has passed.
func NewServer(redisURL string, concurrency int, handle func(ctx context.Context, t Task), log *zap.Logger) (*Server, error) {
	rdb, err := Connect(redisURL, ours)
	if err != nil {
		return nil, err
	}
	silence.Do(func() { redis.SetLogger(redisLog{log}) })
	s := &Server{rdb: rdb, handle: handle, log: log, slots: make(chan struct{}, concurrency), stop: make(chan struct{}), drainTime: drainTime, killTime: killTime}
	s.hard, s.kill = context.WithCancelCause(context.Background())
	s.asynq = asynq.NewServerFromRedisClient(rdb, asynq.Config{
		Concurrency:       concurrency,
		Queues:            queues,
		TaskCheckInterval: pollInterval,
		ShutdownTimeout:   time.Second, // handlers have ended before
		Logger:            asynqLog{log},
		LogLevel:          asynq.WarnLevel,
	})
	return s, nil
}

// Run takes tasks until ctx ends, then waits for the handlers: 17 seconds at the
// longest, after which it gives up with an error.
func (s *Server) Run(ctx context.Context) error {
	defer func() { _ = s.rdb.Close() }()
	defer s.kill(migration.ErrDraining)
	if err := s.asynq.Start(asynq.HandlerFunc(s.process)); err != nil {
		return fmt.Errorf("start queue: %w", err)
	}
	select {
	case <-ctx.Done():
	case <-s.stop:
		s.asynq.Stop()
		<-ctx.Done()
	}
	s.asynq.Stop()
	err := s.drain()
	s.asynq.Shutdown()
	return err
}

// Stop makes Run take no more tasks; those that run go on, and the server counts no
// more as capacity. It may be called at any time, and again.
func (s *Server) Stop() { s.stopped.Do(func() { close(s.stop) }) }

// drain takes all slots: then no handler runs, and none begins any more.
func (s *Server) drain() error {
	patience := time.AfterFunc(s.drainTime, func() { s.kill(migration.ErrDraining) })
	defer patience.Stop()
	giveUp := time.NewTimer(s.drainTime + s.killTime)
	defer giveUp.Stop()
	for range cap(s.slots) {
		select {
		case s.slots <- struct{}{}:
		case <-giveUp.C:
			return errHandlersStuck
		}
	}
	return nil
}

// process runs one task under the server's own context. What it turns away is
// found missing by the dispatcher.
func (s *Server) process(_ context.Context, t *asynq.Task) error {
	task, err := decode(t)
	if err != nil {
		s.log.Error("task refused", zap.Error(err))
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	}
	select {
	case s.slots <- struct{}{}:
	default:
		s.log.Warn("task turned away: all slots taken", zap.Int64("user", task.UserID), zap.Int64("token", task.Token))
		return nil
	}
	defer func() { <-s.slots }()
	s.handle(s.hard, task)
	return nil
}

// Ping asks whether Redis answers.
func (s *Server) Ping(ctx context.Context) error {
	if err := s.rdb.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	return nil
}

// Busy is how many handlers run.
func (s *Server) Busy() int { return len(s.slots) }
