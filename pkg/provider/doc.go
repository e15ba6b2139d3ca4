// Package provider knows mail systems by name: where their IMAP servers are, how one
// logs in, and what is peculiar about them. It is data: each fact has its source and
// the day it was looked up, and says so where nobody has confirmed it.
//
// It never connects to anything and decides nothing. A preset's values are defaults:
// what an operator sets on an endpoint always wins.
package provider
