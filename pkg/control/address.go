package control

import "strings"

// foldAddress is the form in which addresses are compared.
func foldAddress(email string) string { return strings.ToLower(email) }
