-- Limits of an endpoint besides passes at once. 0 and '' are none.

-- +goose Up
ALTER TABLE endpoints ADD COLUMN hours               TEXT   NOT NULL DEFAULT '';
ALTER TABLE endpoints ADD COLUMN daily_bytes         BIGINT NOT NULL DEFAULT 0;
ALTER TABLE endpoints ADD COLUMN bytes_per_second    BIGINT NOT NULL DEFAULT 0;
ALTER TABLE endpoints ADD COLUMN messages_per_second BIGINT NOT NULL DEFAULT 0;
ALTER TABLE endpoints ADD COLUMN working_limit       BIGINT NOT NULL DEFAULT 0;  -- passes at once as of working_at; 0: the configured limit
ALTER TABLE endpoints ADD COLUMN working_at          BIGINT;                     -- when it was last halved

-- What passed through an endpoint on the day that was counted last. It is several rows:
-- see the schema for PostgreSQL, where its windows would wait for each other.
CREATE TABLE endpoint_traffic (
    endpoint_id BIGINT NOT NULL,
    part        BIGINT NOT NULL,
    day         BIGINT NOT NULL,  -- days since 1970 in UTC
    bytes       BIGINT NOT NULL,
    PRIMARY KEY (endpoint_id, part)
);
