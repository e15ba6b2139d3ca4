-- +goose Up
-- When an observer saw beat stand still for the last time; the next beat leaves it.
ALTER TABLE workers ADD COLUMN lapsed_at BIGINT;
