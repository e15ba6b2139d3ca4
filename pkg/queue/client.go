package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Client puts tasks into the queue and looks at what is there.
type Client struct {
	rdb       redis.UniversalClient
	inspector *asynq.Inspector

	mu     sync.Mutex
	client *asynq.Client
}

// NewClient returns a client for the Redis at redisURL, without dialling.
func NewClient(redisURL string, log *zap.Logger) (*Client, error) {
	rdb, err := Connect(redisURL, ours)
	if err != nil {
		return nil, err
	}
	silence.Do(func() { redis.SetLogger(redisLog{log}) })
	return &Client{rdb: rdb, inspector: asynq.NewInspectorFromRedisClient(rdb), client: asynq.NewClientFromRedisClient(rdb)}, nil
}

// Close closes the connections.
func (c *Client) Close() error { return c.rdb.Close() }

// Ping asks whether Redis answers.
func (c *Client) Ping(ctx context.Context) error {
	if err := c.rdb.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	return nil
}

// Enqueue adds t. A task that is there already is left as it is. It may have
// happened although an error came back; doing it again is harmless.
func (c *Client) Enqueue(ctx context.Context, t Task) error {
	task, err := t.encode()
	if err != nil {
		return err
	}
	c.mu.Lock()
	client := c.client
	c.mu.Unlock()
	if _, err := client.EnqueueContext(ctx, task); err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("enqueue task: %w", err)
	}
	return nil
}

// Missing returns those of tasks that do not wait in the queue: lost, taken by a
// worker, or ended.
func (c *Client) Missing(ctx context.Context, tasks []Task) ([]Task, error) {
	var missing []Task
	for _, t := range tasks {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		info, err := c.inspector.GetTaskInfo(t.queue(), t.id())
		switch {
		case errors.Is(err, asynq.ErrQueueNotFound):
			c.register()
			missing = append(missing, t)
		case errors.Is(err, asynq.ErrTaskNotFound):
			missing = append(missing, t)
		case err != nil:
			return nil, fmt.Errorf("look for task: %w", err)
		case info.State != asynq.TaskStatePending:
			missing = append(missing, t)
		}
	}
	return missing, nil
}

// register makes the next Enqueue announce its queue again. asynq does so once a
// client and queue; after a flush of Redis the queue would work on without ever
// being found by the Inspector.
func (c *Client) register() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.client = asynq.NewClientFromRedisClient(c.rdb)
}

// Capacity returns how many passes all workers can run at once. A worker that died
// counts for ten seconds more, one that was told to stop until its next heartbeat, five
// seconds at the longest.
func (c *Client) Capacity(context.Context) (int, error) {
	servers, err := c.inspector.Servers()
	if err != nil {
		return 0, fmt.Errorf("list workers: %w", err)
	}
	n := 0
	for _, s := range servers {
		if s.Status == "active" {
			n += s.Concurrency
		}
	}
	return n, nil
}

// Depth is what waits in one queue.
type Depth struct {
	Queue   string
	Waiting int
	Oldest  time.Duration // how long the oldest has waited
}

// Depths returns what waits in every queue.
func (c *Client) Depths(ctx context.Context) ([]Depth, error) {
	known, err := c.inspector.Queues() // asking for another is an error without a class
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	var out []Depth
	for _, kind := range migration.PassKinds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		d := Depth{Queue: string(kind)}
		if slices.Contains(known, d.Queue) {
			info, err := c.inspector.GetQueueInfo(d.Queue)
			if err != nil {
				return nil, fmt.Errorf("look at queue %s: %w", kind, err)
			}
			d.Waiting, d.Oldest = info.Pending, info.Latency
		}
		out = append(out, d)
	}
	return out, nil
}
