// Package csvimport reads a batch's CSV file of any kind: a stream of bytes in, users or
// every problem with line, column and reason out.
//
// It never stores anything and never keeps the file: memory is bounded by the set of
// addresses seen and the list of problems. It never quotes a cell in a problem,
// because a cell in the wrong column may be a password.
//
// One pass over the file:
//
//  1. Count the bytes; past the limit reading ends.
//  2. Turn them into UTF-8: a byte order mark decides, else the encoding that the
//     operator named, else they must be UTF-8 already. The first byte that does not
//     fit is a problem, told with a guess at what the file is; the rest is then read as
//     that, so that all that is wrong is told at once. A workbook is told as such.
//  3. Split into records (RFC 4180). Semicolons or tabs in place of commas are a
//     problem, and the file is then split at those. A record that cannot be split is
//     another, and the next line is read.
//  4. The first record is the header: known names, each once, the required ones all
//     there; a near miss is answered with the name that was meant.
//  5. Every further record is checked cell by cell, passwords apart without the
//     apostrophe that our reports put before =, +, - and @. Rows are handed on until the
//     first problem; after it the rest is only checked.
package csvimport
