-- A day of an organisation is several rows: see the schema for PostgreSQL, where its
-- passes would wait for each other.

-- +goose Up
CREATE TABLE usage_parts (
    org_id    BIGINT NOT NULL,
    day       BIGINT NOT NULL,  -- days since 1970 in UTC
    part      BIGINT NOT NULL,
    bytes     BIGINT NOT NULL,
    mailboxes BIGINT NOT NULL,
    PRIMARY KEY (org_id, day, part)
);
INSERT INTO usage_parts (org_id, day, part, bytes, mailboxes) SELECT org_id, day, 0, bytes, mailboxes FROM usage;
DROP TABLE usage;
ALTER TABLE usage_parts RENAME TO usage;
