//go:build !race

package mailsync_test

const everyStep = 1
