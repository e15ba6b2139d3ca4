-- +goose Up
-- How many messages of one user may be skipped; NULL: any number.
ALTER TABLE batches ADD COLUMN bad_item_limit BIGINT;
