package rates

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed grant.lua
var grantSource string

var grantScript = redis.NewScript(grantSource)

// request asks for tokens of a bucket.
type request struct {
	key  string
	rate int64 // tokens a second
	// least is enough where many ask, want what is asked for. Neither may be more than
	// a second's worth.
	least, want int64
}

// grants are tokens for use after a time; none: ask again after it.
type grants struct {
	tokens int64
	wait   time.Duration
}

// asker asks for tokens. They may have been given although an error came back.
type asker interface {
	ask(ctx context.Context, r request) (grants, error)
}

// fleet asks Redis, on behalf of all processes.
type fleet struct{ rdb redis.UniversalClient }

func (f fleet) ask(ctx context.Context, r request) (grants, error) {
	answer, err := grantScript.Run(ctx, f.rdb, []string{r.key}, r.rate, r.least, r.want).Int64Slice()
	if err != nil {
		return grants{}, fmt.Errorf("ask redis for tokens: %w", err)
	}
	if len(answer) != 2 {
		return grants{}, fmt.Errorf("ask redis for tokens: %d numbers for an answer", len(answer))
	}
	return grants{answer[0], time.Duration(answer[1]) * time.Microsecond}, nil
}
