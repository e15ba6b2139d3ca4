-- +goose Up
ALTER TABLE endpoints ADD COLUMN connections INTEGER NOT NULL DEFAULT 1;
