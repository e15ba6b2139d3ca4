-- The workers there are, as they tell of themselves every few seconds; since when a
-- pass runs; and how many messages an organisation had copied a day.

-- +goose Up
CREATE TABLE workers (
    id          TEXT NOT NULL PRIMARY KEY,
    host        TEXT    NOT NULL,
    pid         BIGINT  NOT NULL,
    version     TEXT    NOT NULL,
    concurrency BIGINT  NOT NULL,
    started_at  BIGINT  NOT NULL,
    state       TEXT    NOT NULL,                 -- running, draining, drained: the worker's own word
    since       BIGINT  NOT NULL,                 -- of the state, or of being gone
    drain       BOOLEAN NOT NULL DEFAULT FALSE,   -- an operator asked for it
    gone        BOOLEAN NOT NULL DEFAULT FALSE,   -- an observer saw beat stand still; the next beat takes it back
    beat        BIGINT  NOT NULL DEFAULT 0,
    tempo       TEXT    NOT NULL                  -- JSON, see migration.Tempo
);
ALTER TABLE leases ADD COLUMN since BIGINT;
ALTER TABLE usage ADD COLUMN messages BIGINT NOT NULL DEFAULT 0;
