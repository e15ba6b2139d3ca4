-- +goose Up
ALTER TABLE endpoints ADD COLUMN namespaces TEXT NOT NULL DEFAULT '[]';
