-- What stands in the place of an authority's word about an endpoint's certificate: the
-- pin of its key (SHA-256, hex), or nothing at all.

-- +goose Up
ALTER TABLE endpoints ADD COLUMN tls_pin TEXT NOT NULL DEFAULT '';
ALTER TABLE endpoints ADD COLUMN tls_insecure BOOLEAN NOT NULL DEFAULT FALSE;
