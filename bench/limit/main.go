// Limit measures what the two IMAP servers allow, with raw sockets and
// pipelined commands: the ceiling any copying tool can reach here.
//
//	limit read  -src HOST:PORT -user U -pass P -conns N     FETCH BODY.PEEK[] of everything, discarded
//	limit write -src ... -dst ... -multi 1|50 -conns N      APPEND of everything, prepared in memory
//	limit copy  -src ... -dst ... -multi 1|50 -conns N      both at once, streamed
//	            [-select]                                   with the target folder selected
//	            [-literal sync]                             one APPEND a round trip: no LITERAL+
//	limit noop  -src ... [-how status|flags] -conns N -users FILE   the cheapest "anything new?"
//
// It prints one line: mode conns multi messages bytes seconds msgs/s MB/s.
// It keeps flags, keywords and dates, creates folders, and does nothing else a
// migration needs: no state, no retries, no duplicate check.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"time"
)

var (
	srcAddr = flag.String("src", "127.0.0.1:14143", "")
	dstAddr = flag.String("dst", "127.0.0.1:15143", "")
	user    = flag.String("user", "u0000", "")
	pass    = flag.String("pass", "secret", "")
	conns   = flag.Int("conns", 1, "connections to each server")
	multi   = flag.Int("multi", 1, "messages in one APPEND")
	chunk   = flag.Int("chunk", 250, "messages in one FETCH when conns > 1; 0: one FETCH a folder")
	literal = flag.String("literal", "plus", "plus (LITERAL+, pipelined) or sync (the server is waited for before each message)")
	window  = flag.Int("window", 200, "APPEND commands in flight")
	useTLS  = flag.Bool("tls", false, "")
	how     = flag.String("how", "status", "noop: status (LIST-STATUS) or flags (UID FETCH 1:* FLAGS)")
	users   = flag.String("users", "", "noop: file of user names, one a line")
	sel     = flag.Bool("select", false, "SELECT the target folder before APPENDs to it")
	both    = flag.Bool("both", false, "noop: look at the target too")
)

func main() {
	log.SetFlags(0)
	modes := map[string]func() (time.Time, int64, int64){"read": readAll, "write": writeAll, "copy": copyAll, "noop": lookAll}
	if len(os.Args) < 2 || modes[os.Args[1]] == nil {
		log.Fatal("usage: limit read|write|copy|noop [flags]")
	}
	mode := os.Args[1]
	check(flag.CommandLine.Parse(os.Args[2:]))
	start, n, b := modes[mode]()
	s := time.Since(start).Seconds()
	fmt.Printf("%-6s conns=%d multi=%d n=%d bytes=%d s=%.3f n/s=%.0f MB/s=%.1f\n", mode, *conns, *multi, n, b, s, float64(n)/s, float64(b)/s/1e6)
}
