// Package servers starts real servers for tests: Dovecot, Cyrus, Courier, Redis and
// PostgreSQL, each a process of its own on free loopback ports in a short temporary directory, stopped
// by its process id when the test ends.
//
// A program that is not installed fails the test and names the Debian package that
// has it: a test that quietly passes without its server proves nothing. Cyrus and
// Courier, of which Debian lets none be installed beside Dovecot, are fetched and
// unpacked by the harness (bench/getservers.sh) and started by its scripts. The package
// never touches the system's own services, their configuration or their data.
package servers
