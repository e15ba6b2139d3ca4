-- +goose Up
-- Bytes of messages a day for each mailbox; 0: what the preset knows, -1: no limit.
ALTER TABLE endpoints ADD COLUMN daily_bytes_per_mailbox BIGINT NOT NULL DEFAULT 0;
-- What was copied for the user on a day (in UTC, since 1970), the last that was counted.
ALTER TABLE users ADD COLUMN traffic_day BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN traffic_bytes BIGINT NOT NULL DEFAULT 0;
