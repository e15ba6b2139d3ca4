-- What is told to people and programs outside: which batches were told of, webhooks,
-- and one row for each thing that goes to one address.

-- +goose Up
ALTER TABLE tokens ADD COLUMN email TEXT COLLATE "C" NOT NULL DEFAULT '';  -- whose it is: reports of batches that it makes go there

ALTER TABLE batches ADD COLUMN told_synced    BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE batches ADD COLUMN told_completed BOOLEAN NOT NULL DEFAULT FALSE;

-- One row: the latest event whose deliveries were made.
CREATE TABLE notified (
    event_id BIGINT NOT NULL
);
INSERT INTO notified (event_id) SELECT COALESCE(MAX(id), 0) FROM events;

CREATE TABLE webhooks (
    id         BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id     BIGINT  NOT NULL,
    url        TEXT COLLATE "C" NOT NULL,
    secret     BYTEA   NOT NULL,  -- sealed
    created_at BIGINT  NOT NULL
);
CREATE INDEX webhooks_org ON webhooks (org_id, id);

CREATE TABLE deliveries (
    id         BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id     BIGINT  NOT NULL,
    batch_id   BIGINT  NOT NULL,
    event_id   BIGINT  NOT NULL,
    webhook_id BIGINT  NOT NULL,  -- 0: mail
    address    TEXT COLLATE "C" NOT NULL,  -- of mail
    kind       TEXT COLLATE "C" NOT NULL,  -- of the event
    body       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT  NOT NULL,
    due_at     BIGINT,            -- NULL: delivered, or given up
    attempts   BIGINT  NOT NULL DEFAULT 0,
    delivered  BOOLEAN NOT NULL DEFAULT FALSE,
    ended_at   BIGINT,            -- of the latest attempt
    answer     TEXT COLLATE "C" NOT NULL DEFAULT '',
    UNIQUE (event_id, webhook_id, address)
);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_batch ON deliveries (batch_id);
