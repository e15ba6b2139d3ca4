package queue

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/zap"
)

// Between the tries of the Redis client. asynq asks again at once when Redis does not
// answer: the backoff is what keeps a worker from spinning while Redis is away.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 500 * time.Millisecond
)

// Patience is how long, and how often more, a client asks a Redis that does not answer.
type Patience struct {
	Dial, IO time.Duration
	Retries  int // -1 for none
}

var ours = Patience{Dial: 2 * time.Second, IO: 3 * time.Second, Retries: 3}

// Connect returns a client for a redis://, rediss:// or redis-sentinel:// URL. It
// does not dial. Errors never repeat the URL, which may hold a password.
func Connect(redisURL string, p Patience) (redis.UniversalClient, error) {
	u, err := url.Parse(redisURL)
	if err != nil {
		return nil, errors.New("redis URL: cannot be read: is a password in it percent-encoded?")
	}
	switch u.Scheme {
	case "redis", "rediss":
		o, err := redis.ParseURL(redisURL)
		if err != nil {
			return nil, errors.New("redis URL: cannot be read: it is redis://[user:password@]host:port[/database]")
		}
		o.DialTimeout, o.DialerRetries, o.ReadTimeout, o.WriteTimeout = p.Dial, 1, p.IO, p.IO
		o.MaxRetries, o.MinRetryBackoff, o.MaxRetryBackoff = p.Retries, minBackoff, maxBackoff
		o.DisableIdentity = true
		o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
		return redis.NewClient(o), nil
	case "redis-sentinel":
		o, err := sentinel(u, p)
		if err != nil {
			return nil, fmt.Errorf("redis URL: %w", err)
		}
		return redis.NewFailoverClient(o), nil
	default:
		return nil, fmt.Errorf("redis URL: scheme %q: use redis://, rediss:// or redis-sentinel://", u.Scheme)
	}
}

// sentinel reads redis-sentinel://[user:password@]host:port,host:port/[database]?master=NAME.
// User and password are the servers'; ?sentinel_username, ?sentinel_password the
// sentinels' own; ?tls=true puts TLS below both.
func sentinel(u *url.URL, p Patience) (*redis.FailoverOptions, error) {
	q := u.Query()
	o := &redis.FailoverOptions{
		MasterName:       q.Get("master"),
		SentinelAddrs:    strings.Split(u.Host, ","),
		SentinelUsername: q.Get("sentinel_username"),
		SentinelPassword: q.Get("sentinel_password"),
		Username:         u.User.Username(),
		DialTimeout:      p.Dial, DialerRetries: 1, ReadTimeout: p.IO, WriteTimeout: p.IO,
		MaxRetries: p.Retries, MinRetryBackoff: minBackoff, MaxRetryBackoff: maxBackoff,
		DisableIdentity: true,
	}
	o.Password, _ = u.User.Password()
	if o.MasterName == "" {
		return nil, errors.New("the sentinels' name for the master is missing: add ?master=NAME")
	}
	for _, a := range o.SentinelAddrs {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return nil, fmt.Errorf("sentinel %q is no HOST:PORT", a)
		}
	}
	if db := strings.Trim(u.Path, "/"); db != "" {
		n, err := strconv.Atoi(db)
		if err != nil {
			return nil, fmt.Errorf("database %q is no number", db)
		}
		o.DB = n
	}
	if q.Get("tls") == "true" {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return o, nil
}

// The Redis client has one logger a process and writes to stderr without it.
var silence sync.Once

// redisLog passes the Redis client's own lines on.
type redisLog struct{ log *zap.Logger }

func (l redisLog) Printf(_ context.Context, format string, args ...any) {
	l.log.Debug("redis client", zap.String("detail", fmt.Sprintf(format, args...)))
}

// asynqLog passes asynq's lines on. None is fatal to us: the caller of Run learns
// of what ends the server.
type asynqLog struct{ log *zap.Logger }

func (l asynqLog) Debug(args ...any) { l.log.Debug("queue", zap.String("detail", fmt.Sprint(args...))) }

func (l asynqLog) Info(args ...any) { l.log.Debug("queue", zap.String("detail", fmt.Sprint(args...))) }

func (l asynqLog) Warn(args ...any) { l.log.Warn("queue", zap.String("detail", fmt.Sprint(args...))) }

func (l asynqLog) Error(args ...any) { l.log.Warn("queue", zap.String("detail", fmt.Sprint(args...))) }

func (l asynqLog) Fatal(args ...any) { l.log.Error("queue", zap.String("detail", fmt.Sprint(args...))) }
