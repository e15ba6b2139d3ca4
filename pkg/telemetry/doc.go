// Package telemetry is how a process tells what it does: one zap logger, one
// Prometheus registry with the service's metrics, and what the binary was built
// from.
//
// Logs hold typed fields and constant messages. No metric has a user, an address
// or a mailbox as a label. The package decides nothing and reads no setting.
package telemetry
