-- +goose Up
-- When a pass last got in with the administrator's password of now; NULL: never.
ALTER TABLE endpoints ADD COLUMN admin_worked_at BIGINT;
