-- +goose Up
-- Where the user was when a preflight was asked for that has not run yet; '': none is due.
ALTER TABLE users ADD COLUMN preflight_from TEXT NOT NULL DEFAULT '';
-- What the passes of the first sync took and brought, in microseconds, messages and bytes.
ALTER TABLE users ADD COLUMN first_time BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN first_messages BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN first_bytes BIGINT NOT NULL DEFAULT 0;

-- The order of admission, and with it the kind of pass: see turnKinds.
ALTER TABLE users DROP COLUMN turn;
ALTER TABLE users ADD COLUMN turn BIGINT NOT NULL GENERATED ALWAYS AS (
    CASE WHEN completing THEN 1
         WHEN preflight_from <> '' THEN 8
         WHEN verify_due THEN CASE WHEN yielded THEN 2 ELSE 7 END
         WHEN first_synced_at IS NULL THEN CASE WHEN yielded THEN 3 ELSE 6 END
         ELSE CASE WHEN yielded THEN 4 ELSE 5 END END) STORED;
CREATE INDEX users_due ON users (batch_id, turn, next_run_at, id) WHERE next_run_at IS NOT NULL;

CREATE TABLE preflights (
    user_id    BIGINT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    org_id     BIGINT NOT NULL,
    batch_id   BIGINT NOT NULL,
    level      BIGINT NOT NULL,  -- of the gravest finding
    codes      TEXT   NOT NULL,  -- of all findings: see migration.Preflight.Codes
    folders    BIGINT NOT NULL,
    messages   BIGINT NOT NULL,
    bytes      BIGINT NOT NULL,
    to_come    BIGINT NOT NULL,
    body       TEXT   NOT NULL
);
CREATE INDEX preflights_batch ON preflights (batch_id, level);
