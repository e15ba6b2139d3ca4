//go:build race

package mailsync_test

// everyStep: of the accidents of TestAccidentAtEveryStep, one of so many happens. The
// race detector makes each six times as long, so it sees some of them at every step,
// and `make test` runs them all without it.
const everyStep = 6
