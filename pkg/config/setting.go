package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/pflag"
)

// Prefix begins the environment name of every setting.
const Prefix = "MAILHAUL_"

// Secret is a setting that never prints: not in logs, not in errors, not in a dump
// of the configuration. Reveal is the only way to its value.
type Secret struct{ value string }

// NewSecret wraps s.
func NewSecret(s string) Secret { return Secret{s} }

// Reveal returns the value, for the one place that needs it.
func (s Secret) Reveal() string { return s.value }

// Empty reports whether there is none.
func (s Secret) Empty() bool { return s.value == "" }

// Format keeps the value out of every verb of package fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// MarshalText keeps it out of JSON and logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// Sources are where values come from. The zero value knows of none.
type Sources struct {
	// Env looks up an environment variable, as os.LookupEnv does.
	Env func(name string) (string, bool)
	// ReadFile reads a NAME_FILE, as os.ReadFile does.
	ReadFile func(path string) ([]byte, error)
}

// Error is everything that is wrong with a configuration.
type Error struct{ Problems []string }

func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return "configuration: " + e.Problems[0]
	}
	return "configuration:\n  - " + strings.Join(e.Problems, "\n  - ")
}

// setting is one row of a process's table.
type setting struct {
	name   string // such as "TLS_CERT": the flag is --tls-cert, the variable MAILHAUL_TLS_CERT
	preset string
	usage  string
	// secret settings have no flag.
	secret bool
	// advice makes a setting required: it is what to do where there is no value.
	advice string
	// set parses and keeps the value. Its error must not hold a secret.
	set func(value string) error
}

func (s setting) variable() string { return Prefix + s.name }

func (s setting) flag() string { return strings.ToLower(strings.ReplaceAll(s.name, "_", "-")) }

// table is a process's settings, and the way from sources to values.
type table []setting

// addFlags defines a flag for every setting that may have one.
func (t table) addFlags(flags *pflag.FlagSet) {
	for _, s := range t {
		if !s.secret {
			flags.String(s.flag(), "", s.usage+" ["+s.variable()+"]")
			// The value stays empty, so that the environment is asked; help tells the preset.
			flags.Lookup(s.flag()).DefValue = s.preset
		}
	}
}

// load fills in every setting and returns what is wrong with them, in the table's
// order.
func (t table) load(flags *pflag.FlagSet, from Sources) (problems []string) {
	for _, s := range t {
		value, where, err := s.lookup(flags, from)
		switch {
		case err != nil:
			problems = append(problems, err.Error())
		case value == "" && s.advice != "":
			problems = append(problems, fmt.Sprintf("%s is not set: %s", s.variable(), s.advice))
		case value != "":
			if err := s.set(value); err != nil {
				problems = append(problems, fmt.Sprintf("%s: %v", where, err))
			}
		}
	}
	return problems
}

// lookup returns the value of s and the name of where it was found.
func (s setting) lookup(flags *pflag.FlagSet, from Sources) (value, where string, err error) {
	if !s.secret && flags != nil && flags.Changed(s.flag()) {
		if v, err := flags.GetString(s.flag()); err == nil && v != "" {
			return v, "--" + s.flag(), nil
		}
	}
	if v, ok := from.env(s.variable()); ok {
		return v, s.variable(), nil
	}
	variable := s.variable() + "_FILE"
	path, ok := from.env(variable)
	if !ok {
		return s.preset, s.variable(), nil
	}
	body, err := from.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", fmt.Errorf("%s: there is no file %q", variable, path)
	}
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", variable, err)
	}
	v := strings.TrimRight(string(body), "\r\n")
	if v == "" {
		return "", "", fmt.Errorf("%s: the file %q is empty", variable, path)
	}
	return v, variable, nil
}

func (f Sources) env(name string) (string, bool) {
	if f.Env == nil {
		return "", false
	}
	v, ok := f.Env(name)
	return v, ok && v != ""
}
