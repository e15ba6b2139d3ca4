package queue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Task is one pass to be run.
type Task struct {
	UserID int64
	Token  int64 // of the lease, taken by whoever admitted the user
	// Kind chooses the queue; it is not part of the payload.
	Kind migration.PassKind
}

// queues are the queues and how often each is asked first: a cutover before a
// resync before a first sync, but none starves the others.
var queues = map[string]int{
	string(migration.LastSync):     8,
	string(migration.Resync):       4,
	string(migration.FirstSync):    3,
	string(migration.Verify):       1,
	string(migration.Preflighting): 1,
}

const (
	typeName = "sync:pass"
	// farOff stands for no timeout: asynq takes 0 for 30 minutes.
	farOff = 30 * 24 * time.Hour
)

type payload struct {
	User  int64 `json:"user"`
	Token int64 `json:"token"`
}

func (t Task) id() string { return fmt.Sprintf("%d:%d", t.UserID, t.Token) }

func (t Task) queue() string {
	if _, ok := queues[string(t.Kind)]; ok {
		return string(t.Kind)
	}
	return string(migration.FirstSync)
}

func (t Task) encode() (*asynq.Task, error) {
	body, err := json.Marshal(payload{User: t.UserID, Token: t.Token})
	if err != nil {
		return nil, fmt.Errorf("encode task: %w", err)
	}
	return asynq.NewTask(typeName, body, asynq.TaskID(t.id()), asynq.Queue(t.queue()), asynq.MaxRetry(0), asynq.Timeout(farOff)), nil
}

func decode(t *asynq.Task) (Task, error) {
	var p payload
	if t.Type() != typeName {
		return Task{}, fmt.Errorf("task of unknown type %q", t.Type())
	}
	d := json.NewDecoder(bytes.NewReader(t.Payload()))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return Task{}, fmt.Errorf("decode task: %w", err)
	}
	if p.User <= 0 || p.Token <= 0 {
		return Task{}, fmt.Errorf("task without user or token")
	}
	return Task{UserID: p.User, Token: p.Token}, nil
}
