package app

import (
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/queue"
	"github.com/mailhaul/mailhaul/pkg/rates"
)

// hasty is how Redis is asked for tokens: a pass waits for the answer, and has its share
// of the rate where none comes.
var hasty = queue.Patience{Dial: 500 * time.Millisecond, IO: 500 * time.Millisecond, Retries: -1}

// budgets are the endpoints' rates as package pass sees them.
type budgets struct{ *rates.Limiter }

func openBudgets(redisURL string, log *zap.Logger) (budgets, error) {
	rdb, err := queue.Connect(redisURL, hasty)
	if err != nil {
		return budgets{}, err
	}
	return budgets{rates.New(rdb, log)}, nil
}

func limits(e *migration.Endpoint) rates.Limits {
	return rates.Limits{BytesPerSecond: e.BytesPerSecond, MessagesPerSecond: e.MessagesPerSecond, Passes: e.MaxConcurrentMigrations}
}

func (b budgets) Enter(e migration.Endpoint) (leave func()) {
	return b.Limiter.Enter(e.ID, limits(&e))
}

func (b budgets) Update(e migration.Endpoint) { b.Limiter.Update(e.ID, limits(&e)) }
