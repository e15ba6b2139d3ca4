package main

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/client"
)

// bytesFlag is a flag of bytes: a number, with K, M, G or T for powers of 1000.
type bytesFlag struct{ n *int64 }

func (f bytesFlag) Type() string { return "bytes" }

func (f bytesFlag) String() string {
	if f.n == nil || *f.n == 0 {
		return ""
	}
	return number(*f.n)
}

func (f bytesFlag) Set(text string) error {
	digits, unit := strings.ToUpper(text), int64(1)
	for i, suffix := range []string{"K", "M", "G", "T"} {
		if rest, found := strings.CutSuffix(digits, suffix); found {
			digits, unit = rest, int64(math.Pow10(3*(i+1)))
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return errors.New("want bytes, such as 500000, 500K, 500M or 2G")
	}
	*f.n = n * unit
	return nil
}

// mailboxBytes is bytesFlag with the word none, for -1.
type mailboxBytes struct{ bytesFlag }

func (f mailboxBytes) String() string {
	if f.n != nil && *f.n < 0 {
		return "none"
	}
	return f.bytesFlag.String()
}

func (f mailboxBytes) Set(text string) error {
	if strings.EqualFold(text, "none") {
		*f.n = -1
		return nil
	}
	return f.bytesFlag.Set(text)
}

// limits are an endpoint's limits besides passes at once.
func limits(e client.Endpoint) string {
	var list []string
	if e.Hours != "" {
		list = append(list, e.Hours)
	}
	if e.DailyBytes > 0 {
		list = append(list, size(e.DailyBytes)+" a day")
	}
	switch n := e.DailyBytesPerMailbox; {
	case n > 0:
		list = append(list, size(n)+" a day and mailbox")
	case n < 0:
		list = append(list, "any number of bytes a day and mailbox")
	}
	if e.BytesPerSecond > 0 {
		list = append(list, size(e.BytesPerSecond)+"/s")
	}
	if e.MessagesPerSecond > 0 {
		list = append(list, number(e.MessagesPerSecond)+" messages/s")
	}
	return strings.Join(list, "; ")
}
