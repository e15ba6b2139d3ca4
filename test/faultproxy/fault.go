package faultproxy

import (
	"strings"
	"time"
)

// Kind is what is done.
type Kind string

// The kinds of harm; the package comment says what each does.
const (
	Cut       Kind = "cut"
	CutAfter  Kind = "cut after"
	Stall     Kind = "stall"
	Drip      Kind = "drip"
	Garbage   Kind = "garbage"
	Bye       Kind = "bye"
	HalfOpen  Kind = "half-open"
	LostReply Kind = "lost reply"
	Answer    Kind = "answer"
	Tear      Kind = "tear"
	Refuse    Kind = "refuse"
	Reword    Kind = "reword"
)

// Greeting is the At of a fault in the server's first word.
const Greeting = "GREETING"

// Fault is one harm and where it is done.
type Fault struct {
	Kind Kind
	// At is the command that is struck: its verb in upper case ("LOGIN", "LIST",
	// "EXAMINE", "FETCH", "APPEND", ...; SELECT stands for EXAMINE too), or Greeting.
	At string
	// Skip such commands pass first, over all connections; Times are struck then, 0 for
	// all.
	Skip, Times int
	// Has limits it to commands whose line holds this.
	Has string

	Bytes    int           // of Cut, Stall: bytes of the answer that pass before
	Messages int           // of CutAfter: messages of a FETCH that pass before
	Pause    time.Duration // of Drip
	Words    string        // of Answer, Reword and Refuse ("NO [THROTTLED] ..."), Bye, Garbage and Tear
	Holds    string        // of Refuse: part of a message; it needs no At
}

// strikes reports whether f is for a command.
func (f Fault) strikes(verb, line string) bool {
	return (f.At == verb || f.At == "SELECT" && verb == "EXAMINE") && strings.Contains(line, f.Has)
}

// verbOf returns the tag and the verb of a command's first line.
func verbOf(line string) (tag, verb string) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return "", ""
	}
	verb = strings.ToUpper(words[1])
	if verb == "UID" && len(words) > 2 {
		verb = strings.ToUpper(words[2])
	}
	if verb == "AUTHENTICATE" {
		verb = "LOGIN"
	}
	return words[0], verb
}

// literal returns the size of the literal that a line announces at its end, and
// whether its sender goes on without waiting.
func literal(line string) (size int64, goesOn, ok bool) {
	line = strings.TrimRight(line, "\r\n")
	open := strings.LastIndexByte(line, '{')
	if open < 0 || !strings.HasSuffix(line, "}") {
		return 0, false, false
	}
	digits := line[open+1 : len(line)-1]
	if digits, goesOn = strings.CutSuffix(digits, "+"); digits == "" {
		return 0, false, false
	}
	for _, d := range digits {
		if d < '0' || d > '9' || size > 1<<40 {
			return 0, false, false
		}
		size = size*10 + int64(d-'0')
	}
	return size, goesOn, true
}
