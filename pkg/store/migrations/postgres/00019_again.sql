-- +goose Up
-- Whether the next sync offers messages once more that were skipped.
ALTER TABLE users ADD COLUMN again BOOLEAN NOT NULL DEFAULT FALSE;
