package main

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// lineEvery is the time between two lines about work that takes long.
const lineEvery = 10 * time.Second

// gauge tells on stderr how far a piece of work is that may take long, with its rate and
// the time left: as a bar on a terminal, elsewhere as a line every ten seconds.
type gauge struct {
	set func(done, total int64)
	end func()
}

// gauge begins one: what is done, such as "verified", and how an amount is spelled.
func (g *global) gauge(what string, amount func(float64) string) gauge {
	begin := time.Now()
	if terminal(g.err) && !g.quietBars() {
		bars := mpb.New(mpb.WithOutput(g.err), mpb.WithWidth(48))
		bar := bars.AddBar(0, mpb.PrependDecorators(decor.Name(what+" ")),
			mpb.AppendDecorators(decor.Any(func(s decor.Statistics) string { return pace(s.Current, s.Total, time.Since(begin), amount) })))
		return gauge{
			set: func(done, total int64) { bar.SetTotal(total, false); bar.SetCurrent(done) },
			end: func() { bar.Abort(true); bars.Wait() },
		}
	}
	var mu sync.Mutex // an upload that is made again may still be in the hands of the first attempt
	last := begin
	return gauge{end: func() {}, set: func(done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); now.Sub(last) >= lineEvery {
			last = now
			g.say("%s %s", what, pace(done, total, now.Sub(begin), amount))
		}
	}}
}

// pace spells how far work is after some time.
func pace(done, total int64, took time.Duration, amount func(float64) string) string {
	text := amount(float64(done)) + " of " + amount(float64(total))
	if done <= 0 || took <= 0 {
		return text
	}
	if done >= total {
		return text + ", " + took.Round(time.Second).String()
	}
	rate := float64(done) / took.Seconds()
	text += ", " + amount(rate) + "/s"
	left := time.Duration(float64(total-done) / rate * float64(time.Second))
	return text + ", " + left.Round(time.Second).String() + " left"
}

// ofBytes and ofUsers are amounts.
func ofBytes(n float64) string { return size(int64(n)) }

func ofUsers(n float64) string {
	if n < 10 && n != math.Trunc(n) {
		return fmt.Sprintf("%.1f users", n)
	}
	return fmt.Sprintf("%.0f users", n)
}
