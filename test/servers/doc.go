// Package servers starts real servers for tests: Dovecot, Redis and PostgreSQL, each
// a process of its own on free loopback ports in a short temporary directory, stopped
// by its process id when the test ends.
//
// A program that is not installed fails the test and names the Debian package that
// has it: a test that quietly passes without its server proves nothing. The package
// never touches the system's own services, their configuration or their data.
package servers
