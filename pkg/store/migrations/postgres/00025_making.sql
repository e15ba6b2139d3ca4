-- +goose Up
-- A batch that is being made in pieces is one that is removed, to everybody else: of which
-- batch, moved back, and when its latest piece was written. made_of alone: it was given up.
-- Neither: it is whole.
ALTER TABLE batches ADD COLUMN made_of BIGINT;
ALTER TABLE batches ADD COLUMN made_at BIGINT;
