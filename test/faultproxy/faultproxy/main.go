// Command faultproxy puts a fault proxy in front of a server, to try by hand what comes
// of it:
//
//	go run ./test/faultproxy/faultproxy -server 127.0.0.1:143 -kind stall -at LIST
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/test/faultproxy"
)

func main() {
	var f faultproxy.Fault
	listen := flag.String("listen", "127.0.0.1:0", "where to listen")
	server := flag.String("server", "", "the server's address, plain")
	kind := flag.String("kind", "stall", "what is done: cut, cut after, stall, drip, garbage, bye, half-open, lost reply, answer, tear")
	flag.StringVar(&f.At, "at", "LIST", "the command at which it is done, or GREETING")
	flag.StringVar(&f.Has, "has", "", "only where the command's line holds this")
	flag.IntVar(&f.Skip, "skip", 0, "so many such commands pass first")
	flag.IntVar(&f.Times, "times", 0, "so many are struck; 0: all")
	flag.IntVar(&f.Bytes, "bytes", 0, "bytes of the answer that pass first (cut, stall)")
	flag.IntVar(&f.Messages, "messages", 0, "messages of a FETCH that pass first (cut after)")
	flag.DurationVar(&f.Pause, "pause", time.Second, "between two bytes (drip)")
	flag.StringVar(&f.Words, "words", "", "what is said (answer, bye, garbage), or what a message holds (tear)")
	flag.Parse()
	f.Kind, f.At = faultproxy.Kind(*kind), strings.ToUpper(f.At)
	p, err := faultproxy.Start(*listen, *server, faultproxy.Options{Faults: []faultproxy.Fault{f}})
	if err != nil {
		fmt.Fprintln(os.Stderr, "faultproxy:", err)
		os.Exit(1)
	}
	defer p.Close()
	fmt.Printf("listening on 127.0.0.1:%d\n", p.Port)
	end := make(chan os.Signal, 1)
	signal.Notify(end, os.Interrupt)
	<-end
}
