-- +goose Up

-- The mailboxes that may move from or to an endpoint. Whether there is a list at all is
-- its size in the endpoint's row: one that names nobody is not the same as none.
CREATE TABLE endpoint_scope (
    endpoint_id BIGINT NOT NULL,
    mailbox_key TEXT   NOT NULL,
    mailbox     TEXT   NOT NULL,
    PRIMARY KEY (endpoint_id, mailbox_key)
);
ALTER TABLE endpoints ADD COLUMN scope_size INTEGER;
