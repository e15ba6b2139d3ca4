package main

import (
	"fmt"
	"log"
	"strconv"
	"strings"
)

// storeSync appends what comes from in to a server without LITERAL+: it has to agree
// before each message. The next command goes out with the end of the message before,
// so that a message costs one round trip.
func storeSync(c *conn, in chan message) {
	last := ""
	for m := range in {
		c.n++
		last = "x" + strconv.Itoa(c.n)
		fmt.Fprintf(c.w, "%s APPEND %s (%s) \"%s\" {%d}\r\n", last, m.folder, m.flags, m.date, len(m.body))
		check(c.w.Flush())
		c.await("+") // the answers to earlier commands come first
		c.w.Write(m.body)
		c.w.WriteString("\r\n")
		bytesWritten.Add(int64(len(m.body)))
		if len(in) == 0 {
			check(c.w.Flush())
		}
	}
	check(c.w.Flush())
	if last != "" {
		c.await(last)
	}
}

// await reads up to a line that begins with word, and lets no command have failed.
func (c *conn) await(word string) {
	for {
		s, err := c.r.ReadString('\n')
		check(err)
		first, rest, _ := strings.Cut(s, " ")
		if strings.HasPrefix(first, "x") && !strings.HasPrefix(rest, "OK") {
			log.Fatalf("%s", strings.TrimSpace(s))
		}
		if first == word {
			return
		}
	}
}
