-- +goose Up
-- When a pass last got in on both sides with the credentials of now; NULL: never, or rejected since.
ALTER TABLE users ADD COLUMN logged_in_at BIGINT;
