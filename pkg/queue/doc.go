// Package queue carries passes from the dispatcher to the workers, over asynq on
// Redis. It is the only package that knows asynq.
//
// A task is two numbers, user and lease token: what it means is read from the
// store by whoever takes it. So nothing here has to be durable, and every task may
// be lost or come twice:
//
//   - lost (a flushed or restarted Redis, a worker that died between taking a task
//     and claiming its lease): Missing tells the dispatcher, which frees the lease
//     and admits the user anew, with another token;
//   - doubled: the lease is claimed once, the second taker finds nothing.
//
// asynq's own retries, timeouts and schedules are not used: MaxRetry is 0, the
// handler never returns an error, and it does not run under asynq's context, which
// ends when Redis is away for half a minute (a pass does not need Redis). Because
// asynq then starts further tasks beside those still running, the Server counts its
// own slots and turns away what exceeds them.
//
// There is one queue a kind of pass, four in all: asynq asks each in turn, so that
// their number has to stay small.
package queue
