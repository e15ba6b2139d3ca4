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

// gauge begins one: what is done, such as "verified", how an amount is spelled, and what
// follows once all of it is done, "" for nothing.
func (g *global) gauge(what string, amount func(float64) string, then string) gauge {
	begin := time.Now()
	var mu sync.Mutex // the bar looks at it, and an upload that is made again may still be in the hands of the first attempt
	var last reading
	if terminal(g.err) && !g.quietBars() {
		bars := mpb.New(mpb.WithOutput(g.err), mpb.WithWidth(48))
		bar := bars.AddBar(0, mpb.PrependDecorators(decor.Name(what+" ")), mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			mu.Lock()
			defer mu.Unlock()
			return last.pace(time.Since(begin), amount, then)
		})))
		screen := g.err
		g.err = bars // what is said meanwhile goes above the bar
		return gauge{
			set: func(done, total int64) {
				mu.Lock()
				last = reading{done, total, time.Since(begin)}
				mu.Unlock()
				bar.SetTotal(total, false)
				bar.SetCurrent(done)
			},
			end: func() { bar.Abort(true); bars.Wait(); g.err = screen },
		}
	}
	told := begin
	return gauge{end: func() {}, set: func(done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		now, ended := time.Now(), then != "" && done == total
		if total > 0 && (now.Sub(told) >= lineEvery || ended) {
			told = now
			g.say("%s %s", what, reading{done, total, now.Sub(begin)}.pace(now.Sub(begin), amount, then))
		}
	}}
}

// reading is how far work was after a time.
type reading struct {
	done, total int64
	took        time.Duration
}

// pace spells it. What the rate was at the reading it is until the next; only of what
// has ended, and is followed by something that has no measure, the time goes on.
func (r reading) pace(now time.Duration, amount func(float64) string, then string) string {
	text := amount(float64(r.done)) + " of " + amount(float64(r.total))
	switch {
	case r.total <= 0:
		return "" // nothing is known yet
	case r.done >= r.total && then != "":
		text = amount(float64(r.total)) + ", " + then
		if since := (now - r.took).Round(time.Second); since > 0 {
			text += ": " + since.String()
		}
		return text
	case r.done >= r.total:
		return text + ", " + r.took.Round(time.Second).String()
	case r.done <= 0 || r.took <= 0:
		return text
	}
	rate := float64(r.done) / r.took.Seconds()
	left := time.Duration(float64(r.total-r.done) / rate * float64(time.Second))
	return text + ", " + amount(rate) + "/s, " + left.Round(time.Second).String() + " left"
}

// ofBytes, ofMessages and ofUsers are amounts.
func ofBytes(n float64) string { return size(int64(n)) }

func ofMessages(n float64) string { return fmt.Sprintf("%.0f", n) }

func ofUsers(n float64) string {
	if n < 10 && n != math.Trunc(n) {
		return fmt.Sprintf("%.1f users", n)
	}
	return fmt.Sprintf("%.0f users", n)
}
