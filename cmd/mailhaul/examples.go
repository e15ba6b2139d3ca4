package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// examples are of every command, by its path without the program's name.
var examples = map[string]string{
	"demo":   "mailhaul demo --mailboxes 5 --messages 50 --once",
	"up":     "mailhaul up --data ~/mailhaul",
	"sync":   "MAILHAUL_SOURCE_PASSWORD=… MAILHAUL_TARGET_PASSWORD=… mailhaul sync --state anna.state \\\n  --source imaps://anna%40example.org@old.example.org --target imaps://anna%40example.com@new.example.com",
	"verify": "MAILHAUL_SOURCE_PASSWORD=… MAILHAUL_TARGET_PASSWORD=… mailhaul verify --state anna.state \\\n  --source imaps://anna%40example.org@old.example.org --target imaps://anna%40example.com@new.example.com",

	"endpoint create": "mailhaul endpoint create new --host imap.example.com\n" +
		"mailhaul endpoint create old --address anna@example.org\n" +
		"mailhaul endpoint create old --host imap.example.org --login-template '{user}*{admin}' --admin-user root --admin-password-file root.txt --test-mailbox anna@example.org",
	"endpoint discover": "mailhaul endpoint discover anna@example.org\n" +
		"mailhaul endpoint discover anna@example.org --password-file anna.txt --resolver 192.0.2.53",
	"endpoint set":          "mailhaul endpoint set old --max-concurrent-migrations 40",
	"endpoint test":         "mailhaul endpoint test old --user anna@example.org --password-file anna.txt",
	"endpoint list":         "mailhaul endpoint list --output json",
	"endpoint get":          "mailhaul endpoint get old",
	"endpoint delete":       "mailhaul endpoint delete old",
	"endpoint scope set":    "mailhaul endpoint scope set old --file movers.txt",
	"endpoint scope get":    "mailhaul endpoint scope get old > movers.txt",
	"endpoint scope add":    "mailhaul endpoint scope add old anna@example.org berta@example.org",
	"endpoint scope remove": "mailhaul endpoint scope remove old berta@example.org",
	"endpoint scope clear":  "mailhaul endpoint scope clear old",

	"batch create":    "mailhaul batch create --csv pilot.csv --source old --target new --dry-run\nmailhaul batch create --csv pilot.csv --source old --target new --exclude '#Junk#' --autostart",
	"batch list":      "mailhaul batch list",
	"batch get":       "mailhaul batch get pilot",
	"batch set":       "mailhaul batch set pilot --resync-interval 6h",
	"batch start":     "mailhaul batch start pilot",
	"batch stop":      "mailhaul batch stop pilot",
	"batch sync":      "mailhaul batch sync pilot --wait",
	"batch complete":  "mailhaul batch complete pilot --at 2026-05-01T22:00:00Z",
	"batch reverse":   "mailhaul batch reverse pilot --name pilot-back",
	"batch preflight": "mailhaul batch preflight pilot\nmailhaul batch preflight pilot --show --output json",
	"batch verify":    "mailhaul batch verify pilot --wait\nmailhaul report receipts pilot",
	"batch watch":     "mailhaul batch watch pilot",
	"batch wait":      "mailhaul batch wait pilot --for Synced --timeout 8h",
	"batch delete":    "mailhaul batch delete pilot --confirm pilot --keep-report",
	"batch mails":     "mailhaul batch mails pilot",
	"batch add-users": "mailhaul report errors pilot > mended.csv\nmailhaul batch add-users pilot --csv mended.csv",

	"user list":              "mailhaul user list --batch pilot --status Failed",
	"user items":             "mailhaul user items --batch pilot --code MessageTooLarge",
	"user get":               "mailhaul user get anna@example.com --batch pilot",
	"user why":               "mailhaul user why anna@example.com --batch pilot",
	"user retry":             "mailhaul user retry anna@example.com --batch pilot",
	"user stop":              "mailhaul user stop anna@example.com --batch pilot",
	"user complete":          "mailhaul user complete anna@example.com --batch pilot",
	"user reset":             "mailhaul user reset anna@example.com --batch pilot",
	"user confirm-deletions": "mailhaul user get anna@example.com --batch pilot\nmailhaul user confirm-deletions anna@example.com --batch pilot --confirm 128",
	"user move":              "mailhaul user move anna@example.com --batch pilot --to second",
	"user remove":            "mailhaul user remove anna@example.com --batch pilot",
	"user set-credentials":   "mailhaul user set-credentials anna@example.com --batch pilot --password-file - < anna.txt",

	"report statistics": "mailhaul report statistics pilot > pilot.csv",
	"report errors":     "mailhaul report errors pilot > mended.csv",
	"report items":      "mailhaul report items pilot --format html > left-behind.html",
	"report receipts":   "mailhaul report receipts pilot --format json",

	"top":          "mailhaul top --once",
	"worker list":  "mailhaul worker list",
	"worker drain": "mailhaul worker drain worker-7-4242-ABCDEFGH",

	"token create": "mailhaul token create --role operator --expires 30d --email ann@example.com",
	"token list":   "mailhaul token list --org acme",
	"token revoke": "mailhaul token revoke 3f2a9c0d",

	"org create": "mailhaul org create acme",
	"org list":   "mailhaul org list",
	"org usage":  "mailhaul org usage --org acme",

	"webhook create":     "mailhaul webhook create https://hooks.example.com/mailhaul",
	"webhook list":       "mailhaul webhook list",
	"webhook deliveries": "mailhaul webhook deliveries 3",
	"webhook delete":     "mailhaul webhook delete 3",

	"vault keygen": "mailhaul vault keygen > master.key",
	"vault rotate": "mailhaul vault rotate",

	"provider list": "mailhaul provider list",
	"provider get":  "mailhaul provider get gmail",
}

// addExamples puts them into the help of the commands below cmd.
func addExamples(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		_, path, _ := strings.Cut(sub.CommandPath(), " ")
		if example := examples[path]; example != "" {
			sub.Example = "  " + strings.ReplaceAll(example, "\n", "\n  ")
		}
		addExamples(sub)
	}
}
