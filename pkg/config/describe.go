package config

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Described is one setting as documentation shows it.
type Described struct {
	Variable string // such as "MAILHAUL_LISTEN"
	Flag     string // such as "listen"; "" for a secret
	Default  string
	Usage    string
	Required bool
}

// DescribeAPI describes the API's settings.
func DescribeAPI() []Described { return new(API).table().describe() }

// DescribeWorker describes the worker's settings.
func DescribeWorker() []Described { return new(Worker).table().describe() }

// DescribeStandalone describes the settings of everything in one process.
func DescribeStandalone() []Described { return new(Standalone).table().describe() }

func (t table) describe() []Described {
	out := make([]Described, len(t))
	for i, s := range t {
		out[i] = Described{Variable: s.variable(), Default: s.preset, Usage: s.usage, Required: s.advice != ""}
		if !s.secret {
			out[i].Flag = s.flag()
		}
	}
	return out
}

// SecretsHelp is the end of a program's help: the settings that have no flag.
func SecretsHelp(settings []Described) string {
	var b strings.Builder
	b.WriteString("Without flags, from the environment or a file named by NAME_FILE alone:\n\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, s := range settings {
		if s.Flag == "" {
			fmt.Fprintf(w, "    %s\t%s\n", s.Variable, s.Usage)
		}
	}
	_ = w.Flush() // a Builder never fails
	return b.String()
}
