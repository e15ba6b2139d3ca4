package main

import (
	"fmt"
	"strconv"
	"strings"
)

type folder struct {
	name       string // as quoted on the wire
	messages   int
	subscribed bool
}

// list returns the folders and their counts with one LIST-STATUS.
func (c *conn) list() []folder {
	var fs []folder
	counts := map[string]int{}
	c.do(`LIST "" "*" RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))`, func(l string, lits [][]byte) {
		if rest, ok := strings.CutPrefix(l, "* LIST ("); ok {
			attrs, rest, _ := strings.Cut(rest, ") ")
			attrs = strings.ToLower(attrs)
			if strings.Contains(attrs, `\noselect`) || strings.Contains(attrs, `\nonexistent`) {
				return
			}
			_, name, _ := strings.Cut(rest, " ")
			fs = append(fs, folder{name: name, subscribed: strings.Contains(attrs, `\subscribed`)})
		} else if rest, ok := strings.CutPrefix(l, "* STATUS "); ok {
			i := strings.LastIndex(rest, " (")
			var n int
			fmt.Sscanf(rest[i:], " (MESSAGES %d", &n)
			counts[rest[:i]] = n
		}
	})
	for i := range fs {
		fs[i].messages = counts[fs[i].name]
	}
	return fs
}

type job struct {
	folder   string
	from, to int
}

func plan(fs []folder) []job {
	var jobs []job
	for _, f := range fs {
		step := *chunk
		if step <= 0 || *conns == 1 && *chunk == 250 {
			step = f.messages
		}
		for a := 1; a <= f.messages; a += step {
			jobs = append(jobs, job{f.name, a, min(a+step-1, f.messages)})
		}
	}
	return jobs
}

type message struct {
	folder string
	flags  string
	date   string
	body   []byte
}

// fetch runs the jobs it takes from the queue, with the next FETCH already
// sent while one is read (a folder change waits: SELECT is pipelined too).
func fetch(c *conn, q chan job, keep bool, out func(message)) {
	type sent struct {
		sel, tag string
		j        job
	}
	ahead := make(chan sent, 8)
	go func() {
		cur := ""
		for j := range q {
			s := sent{j: j}
			if j.folder != cur {
				c.n++
				s.sel = "x" + strconv.Itoa(c.n)
				c.w.WriteString(s.sel + " EXAMINE " + j.folder + "\r\n")
				cur = j.folder
			}
			c.n++
			s.tag = "x" + strconv.Itoa(c.n)
			fmt.Fprintf(c.w, "%s FETCH %d:%d (UID FLAGS INTERNALDATE BODY.PEEK[])\r\n", s.tag, j.from, j.to)
			check(c.w.Flush())
			ahead <- s
		}
		close(ahead)
	}()
	for s := range ahead {
		if s.sel != "" {
			c.until(s.sel, true, nil)
		}
		c.until(s.tag, keep, func(l string, lits [][]byte) {
			if len(lits) == 0 {
				return
			}
			msgs.Add(1)
			if !keep {
				return
			}
			bytesRead.Add(int64(len(lits[0])))
			m := message{folder: s.j.folder, body: lits[0]}
			if i := strings.Index(l, "FLAGS ("); i >= 0 {
				m.flags = l[i+7 : i+strings.IndexByte(l[i:], ')')]
				m.flags = strings.TrimSpace(strings.ReplaceAll(m.flags, `\Recent`, ""))
			}
			if i := strings.Index(l, `INTERNALDATE "`); i >= 0 {
				m.date = l[i+14 : i+14+26]
			}
			out(m)
		})
	}
}

// store appends what comes from in, multi messages in one APPEND, up to window
// APPENDs unanswered.
func store(c *conn, in chan message) {
	if *literal == "sync" {
		storeSync(c, in)
		return
	}
	acks := make(chan string, *window)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tag := range acks {
			c.until(tag, true, nil)
		}
	}()
	var group []message
	selected := ""
	flush := func() {
		if len(group) == 0 {
			return
		}
		if *sel && selected != group[0].folder {
			selected = group[0].folder
			acks <- c.send("SELECT " + selected)
		}
		c.n++
		tag := "x" + strconv.Itoa(c.n)
		c.w.WriteString(tag + " APPEND " + group[0].folder)
		for _, m := range group {
			fmt.Fprintf(c.w, " (%s) \"%s\" {%d+}\r\n", m.flags, m.date, len(m.body))
			c.w.Write(m.body)
			bytesWritten.Add(int64(len(m.body)))
		}
		c.w.WriteString("\r\n")
		check(c.w.Flush())
		acks <- tag
		group = group[:0]
	}
	for m := range in {
		if len(group) > 0 && (group[0].folder != m.folder || len(group) >= *multi) {
			flush()
		}
		group = append(group, m)
		if len(in) == 0 && *multi == 1 {
			flush()
		}
	}
	flush()
	close(acks)
	<-done
}

func queue(jobs []job) chan job {
	q := make(chan job, len(jobs))
	for _, j := range jobs {
		q <- j
	}
	close(q)
	return q
}
