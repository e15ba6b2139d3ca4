package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
)

type conn struct {
	net.Conn
	r *bufio.Reader
	w *bufio.Writer
	n int
}

func dial(addr, user string) *conn {
	c, err := net.Dial("tcp", addr)
	check(err)
	if *useTLS {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	k := &conn{Conn: c, r: bufio.NewReaderSize(c, 256<<10), w: bufio.NewWriterSize(c, 256<<10)}
	_, err = k.r.ReadSlice('\n')
	check(err)
	return k
}

func login(addr, user string) *conn {
	k := dial(addr, user)
	k.do("LOGIN "+quote(user)+" "+quote(*pass), nil)
	return k
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func (c *conn) send(cmd string) string {
	c.n++
	tag := "x" + strconv.Itoa(c.n)
	c.w.WriteString(tag + " " + cmd + "\r\n")
	check(c.w.Flush())
	return tag
}

// until reads responses up to the tagged one. text gets each line with its
// literals cut out; the literals are in lits. With lits nil-returning text,
// literals are discarded unread into memory.
func (c *conn) until(tag string, keep bool, text func(line string, lits [][]byte)) {
	for {
		var line strings.Builder
		var lits [][]byte
		for {
			s, err := c.r.ReadSlice('\n')
			if err == bufio.ErrBufferFull {
				line.Write(s)
				continue
			}
			check(err)
			line.Write(s)
			n, ok := announced(s)
			if !ok {
				break
			}
			if keep {
				b := make([]byte, n)
				_, err = io.ReadFull(c.r, b)
				check(err)
				lits = append(lits, b)
			} else {
				_, err = c.r.Discard(n)
				check(err)
				lits = append(lits, nil)
				bytesRead.Add(int64(n))
			}
		}
		l := strings.TrimRight(line.String(), "\r\n")
		if rest, ok := strings.CutPrefix(l, tag+" "); ok {
			if !strings.HasPrefix(rest, "OK") {
				log.Fatalf("%s", l)
			}
			return
		}
		if text != nil {
			text(l, lits)
		}
	}
}

var bytesRead, bytesWritten, msgs atomic.Int64

// announced is the length of the literal that follows a line.
func announced(s []byte) (int, bool) {
	s = bytes.TrimRight(s, "\r\n")
	if len(s) == 0 || s[len(s)-1] != '}' {
		return 0, false
	}
	i := bytes.LastIndexByte(s, '{')
	n, err := strconv.Atoi(string(s[i+1 : len(s)-1]))
	return n, err == nil
}

func (c *conn) do(cmd string, text func(string, [][]byte)) {
	c.until(c.send(cmd), true, text)
}
