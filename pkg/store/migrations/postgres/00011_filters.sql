-- +goose Up
-- Which messages a batch carries: those received from mail_since on and before
-- mail_before (microseconds; NULL: any), and none larger than this (bytes; 0: any).
ALTER TABLE batches ADD COLUMN mail_since BIGINT;
ALTER TABLE batches ADD COLUMN mail_before BIGINT;
ALTER TABLE batches ADD COLUMN max_message_size BIGINT NOT NULL DEFAULT 0;
