// Package config reads the settings of the processes: what each is called, where
// its value comes from, and what is wrong with it, in words that say what to do.
//
// A setting NAME is taken from the first of these that gives one:
//
//  1. the flag --name (never for a secret: a command line is seen by everybody on
//     the machine),
//  2. the environment variable MAILHAUL_NAME,
//  3. the file named by MAILHAUL_NAME_FILE, without its final line ends,
//  4. the default.
//
// An empty value counts as none. All problems are reported at once, as one *Error.
// The package opens nothing but those files and knows nothing of what the settings
// are for.
package config
