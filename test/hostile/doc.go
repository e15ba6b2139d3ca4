// Package hostile has servers that mean harm: each says something that costs its
// client memory or time without end. The tests give one to a process of its own and
// measure it from outside: for tests alone.
package hostile
