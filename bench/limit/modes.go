package main

import (
	"os"
	"strings"
	"sync"
	"time"
)

// readAll fetches everything and discards it.
func readAll() (start time.Time, n, b int64) {
	start = time.Now()
	c := login(*srcAddr, *user)
	q := queue(plan(c.list()))
	var wg sync.WaitGroup
	for i := range *conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			k := c
			if i > 0 {
				k = login(*srcAddr, *user)
			}
			fetch(k, q, false, nil)
		}()
	}
	wg.Wait()
	return start, msgs.Load(), bytesRead.Load()
}

// writeAll appends everything, prepared in memory.
func writeAll() (start time.Time, n, b int64) {
	c := login(*srcAddr, *user)
	fs := c.list()
	byFolder := map[string][]message{}
	fetch(c, queue(plan(fs)), true, func(m message) { byFolder[m.folder] = append(byFolder[m.folder], m) })
	start = time.Now()
	makeFolders(fs)
	// Work is cut into runs of up to chunk messages of one folder.
	type run []message
	var runs []run
	for _, f := range fs {
		for l := byFolder[f.name]; len(l) > 0; {
			k := min(len(l), max(*multi, 50))
			runs = append(runs, l[:k])
			l = l[k:]
		}
	}
	work := make(chan run, len(runs))
	for _, r := range runs {
		work <- r
	}
	close(work)
	var wg sync.WaitGroup
	for range *conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			k := login(*dstAddr, *user)
			in := make(chan message, 100)
			go func() {
				for r := range work {
					for _, m := range r {
						in <- m
					}
				}
				close(in)
			}()
			store(k, in)
		}()
	}
	wg.Wait()
	return start, msgs.Load(), bytesWritten.Load()
}

// copyAll fetches and appends at once, streamed.
func copyAll() (start time.Time, n, b int64) {
	start = time.Now()
	c := login(*srcAddr, *user)
	fs := c.list()
	q := queue(plan(fs))
	makeFolders(fs)
	var wg sync.WaitGroup
	for i := range *conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			k := c
			if i > 0 {
				k = login(*srcAddr, *user)
			}
			d := login(*dstAddr, *user)
			in := make(chan message, 128)
			go func() {
				fetch(k, q, true, func(m message) { in <- m })
				close(in)
			}()
			store(d, in)
		}()
	}
	wg.Wait()
	return start, msgs.Load(), bytesWritten.Load()
}

// lookAll asks each account whether anything changed.
func lookAll() (start time.Time, n, b int64) {
	list := []string{*user}
	if *users != "" {
		f, err := os.ReadFile(*users)
		check(err)
		list = strings.Fields(string(f))
	}
	start = time.Now()
	work := make(chan string, len(list))
	for _, u := range list {
		work <- u
	}
	close(work)
	var wg sync.WaitGroup
	for range *conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for u := range work {
				look(*srcAddr, u)
				if *both {
					look(*dstAddr, u)
				}
			}
		}()
	}
	wg.Wait()
	return start, int64(len(list)), bytesRead.Load()
}

// look asks one account whether anything changed: LOGIN and the question go
// out together (LOGIN's answer is not needed to send what follows).
func look(addr, u string) {
	c := dial(addr, u)
	tags := []string{c.send("LOGIN " + quote(u) + " " + quote(*pass))}
	tags = append(tags, c.send(`LIST "" "*" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))`))
	var fs []string
	for _, t := range tags {
		c.until(t, true, func(l string, _ [][]byte) {
			if rest, ok := strings.CutPrefix(l, "* STATUS "); ok && !strings.Contains(rest, "(MESSAGES 0 ") {
				fs = append(fs, rest[:strings.LastIndex(rest, " (")])
			}
		})
	}
	if *how == "flags" {
		tags = tags[:0]
		for _, f := range fs {
			tags = append(tags, c.send("EXAMINE "+f), c.send("UID FETCH 1:* (UID FLAGS)"))
		}
		for _, t := range tags {
			c.until(t, true, nil)
		}
	}
	t := c.send("LOGOUT")
	_ = t
	c.Close()
}
