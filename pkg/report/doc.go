// Package report renders what is known of a batch as CSV, JSON and a page: the statistics
// of all users, the users that need attention, the messages that were left behind, and the receipts of a verify.
//
// It gets its rows one at a time and writes them as they come: a report of fifty
// thousand users costs the memory of one. It reads no store and decides nothing.
//
// Cells of a CSV never begin with a character that a spreadsheet takes for a
// formula (=, +, -, @ and their wide forms, tab, line end): they get an apostrophe in front. The
// error report has the columns of the import, so that it can be mended and added to
// the batch again; its passwords are blank, which keeps the sealed ones.
package report
