-- +goose Up
-- How many deletions at the source the latest sync asks to have confirmed, and how many an
-- operator has confirmed for the next one; 0: none.
ALTER TABLE users ADD COLUMN deletions_asked BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN deletions_confirmed BIGINT NOT NULL DEFAULT 0;
-- Copies deleted at the target because their messages are gone at the source, and such
-- that were kept because the target's user had changed them.
ALTER TABLE users ADD COLUMN total_deleted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN total_kept_at_target BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN last_deleted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN last_kept_at_target BIGINT NOT NULL DEFAULT 0;
