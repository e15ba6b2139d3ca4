-- +goose Up
-- The order of admission, and with it the kind of pass: see turnKinds. A user that has a
-- sync to come is verified after it.
DROP INDEX users_due;
ALTER TABLE users DROP COLUMN turn;
ALTER TABLE users ADD COLUMN turn BIGINT NOT NULL GENERATED ALWAYS AS (
    CASE WHEN completing THEN 1
         WHEN preflight_from <> '' THEN 8
         WHEN verify_due AND status <> 'Queued' THEN CASE WHEN yielded THEN 2 ELSE 7 END
         WHEN first_synced_at IS NULL THEN CASE WHEN yielded THEN 3 ELSE 6 END
         ELSE CASE WHEN yielded THEN 4 ELSE 5 END END) VIRTUAL;
CREATE INDEX users_due ON users (batch_id, turn, next_run_at, id) WHERE next_run_at IS NOT NULL;
