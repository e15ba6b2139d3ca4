-- +goose Up
-- The operator's rules for where source folders go: a JSON array of {"from", "to"}.
ALTER TABLE batches ADD COLUMN map_folders TEXT NOT NULL DEFAULT '[]';
