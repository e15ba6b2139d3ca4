package main

import (
	"bytes"
	_ "embed"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/template"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mailhaul/mailhaul/pkg/config"
)

var update = flag.Bool("update", false, "write docs/cli.md")

//go:embed testdata/cli.md.tmpl
var referenceTemplate string

// TestReference: docs/cli.md says what the commands say now. With -update it is written.
func TestReference(t *testing.T) {
	root := tree()
	var now bytes.Buffer
	page := template.Must(template.New("cli").Funcs(template.FuncMap{
		"flags": flagsOf, "cell": cell, "code": func(s string) string { return "`" + s + "`" },
		"anchor": func(path string) string { return strings.ReplaceAll(path, " ", "-") },
	}).Parse(referenceTemplate))
	if err := page.Execute(&now, map[string]any{
		"Commands": below(root), "Global": flagsOf(root.PersistentFlags()), "ExitCodes": exits(),
		"Processes": []process{{"api", config.DescribeAPI()}, {"worker", config.DescribeWorker()}, {"Settings of mailhaul up", config.DescribeStandalone()}},
	}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "docs", "cli.md")
	if *update {
		if err := os.WriteFile(path, now.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, now.Bytes()) {
		t.Errorf("docs/cli.md is not what the commands say now (%v): make docs", err)
	}
}

// TestExamples: every command has one, and what it shows is a call of that command.
func TestExamples(t *testing.T) {
	shown := map[string]bool{}
	for _, cmd := range below(tree()) {
		_, path, _ := strings.Cut(cmd.CommandPath(), " ")
		if cmd.HasSubCommands() || path == "completion" {
			continue
		}
		called := false
		for call := range strings.SplitSeq(strings.ReplaceAll(examples[path], "\\\n", ""), "\n") {
			_, line, _ := strings.Cut(call, "mailhaul ")
			line, _, _ = strings.Cut(line, " > ")
			line, _, _ = strings.Cut(line, " < ")
			found, err := commandOf(line)
			if err != nil {
				t.Errorf("%s: the example %q: %v", path, call, err)
			}
			called = called || found.CommandPath() == cmd.CommandPath()
		}
		if !called {
			t.Errorf("%s has no example of itself", path)
		}
		shown[path] = true
	}
	for path := range examples {
		if !shown[path] {
			t.Errorf("there is an example of %q, which is no command", path)
		}
	}
}

// words are a line's, as a shell takes them apart.
var words = regexp.MustCompile(`("[^"]*"|[^\s"])+`)

// commandOf finds the command that a line calls; the error is what is wrong with the call.
func commandOf(line string) (*cobra.Command, error) {
	found, args, err := tree().Find(words.FindAllString(line, -1))
	if err == nil {
		err = found.ParseFlags(args)
	}
	if err == nil && found.HasSubCommands() {
		err = errors.New("a verb is missing, or there is none of that name")
	}
	if err == nil {
		err = found.ValidateArgs(found.Flags().Args())
	}
	if err == nil {
		err = found.ValidateRequiredFlags()
	}
	return found, err
}

// tree is the program's, as it is without an environment.
func tree() *cobra.Command {
	root := newRootCommand(&global{stdio: stdio{strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer)}}, func(string) (string, bool) { return "", false })
	root.InitDefaultCompletionCmd()
	return root
}

// below is every command below cmd, each before its own. Those of completion are cobra's.
func below(cmd *cobra.Command) (out []*cobra.Command) {
	for _, sub := range cmd.Commands() {
		sub.InitDefaultHelpFlag()
		out = append(out, sub)
		if sub.Name() != "completion" {
			out = append(out, below(sub)...)
		}
	}
	return out
}

// shownFlag is a flag as a line of a table.
type shownFlag struct{ Name, Default, Usage string }

func flagsOf(set *pflag.FlagSet) (out []shownFlag) {
	set.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		kind, usage := pflag.UnquoteUsage(f)
		s := shownFlag{strings.TrimSpace("--" + f.Name + " " + strings.TrimSuffix(kind, "Array")), f.DefValue, usage}
		switch s.Default {
		case "false", "[]", "0", "0s":
			s.Default = ""
		}
		out = append(out, s)
	})
	return out
}

type process struct {
	Name     string
	Settings []config.Described
}

type shownExit struct {
	Code    int
	Meaning string
}

func exits() (out []shownExit) {
	for _, c := range exitCodes {
		out = append(out, shownExit{c.code, c.meaning})
	}
	return out
}

// cell keeps a text within a table's cell.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "*", `\*`).Replace(s)
}
