-- Times are microseconds since 1970 in UTC, NULL where there is none; durations
-- are microseconds; lists and receipts are JSON. Sealed secrets are BLOBs.
-- AUTOINCREMENT: an id in a task, an event or an audit line never means another row.

-- +goose Up
CREATE TABLE orgs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    created_at BIGINT  NOT NULL,
    served     BIGINT  NOT NULL DEFAULT 0  -- the latest lease token admitted: round robin
);

CREATE TABLE tokens (
    id         TEXT    NOT NULL PRIMARY KEY,
    org_id     BIGINT  NOT NULL,  -- 0: any organisation
    role       TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE,
    created_at BIGINT  NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX tokens_org ON tokens (org_id);

CREATE TABLE events (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id   BIGINT  NOT NULL,
    batch_id BIGINT  NOT NULL,  -- 0: none; no reference, audit lines outlive batches
    user_id  BIGINT  NOT NULL,  -- 0: none
    kind     TEXT    NOT NULL,
    actor    TEXT    NOT NULL,  -- '': the service itself; others are the audit
    at       BIGINT  NOT NULL,
    data     TEXT    NOT NULL
);
CREATE INDEX events_org ON events (org_id, id);
CREATE INDEX events_batch ON events (batch_id, id) WHERE batch_id <> 0;
CREATE INDEX events_user ON events (user_id) WHERE user_id <> 0;
CREATE INDEX events_audit ON events (org_id, id) WHERE actor <> '';

CREATE TABLE idempotency (
    org_id       BIGINT NOT NULL,
    token_id     TEXT   NOT NULL,
    name         TEXT   NOT NULL,  -- the key
    request_hash BLOB   NOT NULL,
    status       BIGINT NOT NULL,
    header       TEXT   NOT NULL,
    body         BLOB,
    at           BIGINT NOT NULL,
    PRIMARY KEY (org_id, token_id, name)
);
CREATE INDEX idempotency_at ON idempotency (at);

CREATE TABLE endpoints (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id           BIGINT  NOT NULL REFERENCES orgs (id),
    name             TEXT    NOT NULL,
    preset           TEXT    NOT NULL,
    host             TEXT    NOT NULL,
    host_key         TEXT    NOT NULL,  -- which mail system: see hostKey
    port             BIGINT  NOT NULL,
    security         TEXT    NOT NULL,
    auth             TEXT    NOT NULL,
    login_template   TEXT    NOT NULL,
    admin_user       TEXT    NOT NULL,
    test_mailbox     TEXT    NOT NULL,
    max_migrations   BIGINT  NOT NULL,
    max_incrementals BIGINT  NOT NULL,
    admin_secret     BLOB,
    park_until       BIGINT,
    park_interval    BIGINT  NOT NULL DEFAULT 0,
    park_code        TEXT    NOT NULL DEFAULT '',
    park_reason      TEXT    NOT NULL DEFAULT '',
    park_held        BOOLEAN NOT NULL DEFAULT FALSE,
    probe            BIGINT  NOT NULL DEFAULT 0,   -- token of the lease that went first after the park
    last_kind        TEXT    NOT NULL DEFAULT '',  -- of the first syncs and resyncs, which was admitted last
    created_at       BIGINT  NOT NULL,
    UNIQUE (org_id, name)
);

CREATE TABLE batches (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id             BIGINT  NOT NULL REFERENCES orgs (id),
    name               TEXT    NOT NULL,
    type               TEXT    NOT NULL,
    source_endpoint_id BIGINT  NOT NULL REFERENCES endpoints (id),
    target_endpoint_id BIGINT  NOT NULL REFERENCES endpoints (id),
    auto_start         BOOLEAN NOT NULL,
    start_at           BIGINT,
    complete_at        BIGINT,
    exclude_folders    TEXT    NOT NULL,
    include_folders    TEXT    NOT NULL,
    deletions          TEXT    NOT NULL,
    resync_interval    BIGINT  NOT NULL,
    notify             TEXT    NOT NULL,
    created_at         BIGINT  NOT NULL,
    created_by         TEXT    NOT NULL,
    started_at         BIGINT,
    stopped            BOOLEAN NOT NULL,
    completing         BOOLEAN NOT NULL,
    removing           BOOLEAN NOT NULL,
    next_due_at        BIGINT,  -- no user of the batch is due before it; NULL: none is due by itself
    served             BIGINT  NOT NULL DEFAULT 0,
    UNIQUE (org_id, name)
);
CREATE INDEX batches_due ON batches (next_due_at) WHERE next_due_at IS NOT NULL;
CREATE INDEX batches_removing ON batches (id) WHERE removing;
CREATE INDEX batches_source ON batches (source_endpoint_id);
CREATE INDEX batches_target ON batches (target_endpoint_id);

CREATE TABLE users (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id           BIGINT  NOT NULL,
    batch_id         BIGINT  NOT NULL REFERENCES batches (id),
    email            TEXT    NOT NULL,
    email_key        TEXT    NOT NULL,  -- lower case
    user_name        TEXT    NOT NULL,
    target_user_name TEXT    NOT NULL,
    target_login     TEXT    NOT NULL,  -- which mailbox of the target's host: see loginKey
    user_root        TEXT    NOT NULL,
    target_root      TEXT    NOT NULL,
    source_secret    BLOB,
    target_secret    BLOB,

    status           TEXT    NOT NULL,
    code             TEXT    NOT NULL,
    reason           TEXT    NOT NULL,
    next_run_at      BIGINT,
    yielded          BOOLEAN NOT NULL,
    attempts         BIGINT  NOT NULL,
    failing_since    BIGINT,
    takeovers        BIGINT  NOT NULL,
    stopping         BOOLEAN NOT NULL,
    completing       BOOLEAN NOT NULL,
    removing         BOOLEAN NOT NULL,
    verify_due       BOOLEAN NOT NULL,
    first_synced_at  BIGINT,
    last_synced_at   BIGINT,
    -- The order of admission, and with it the kind of pass: see turnKinds.
    turn             BIGINT  NOT NULL GENERATED ALWAYS AS (
        CASE WHEN completing THEN 1
             WHEN verify_due THEN CASE WHEN yielded THEN 2 ELSE 7 END
             WHEN first_synced_at IS NULL THEN CASE WHEN yielded THEN 3 ELSE 6 END
             ELSE CASE WHEN yielded THEN 4 ELSE 5 END END) STORED,

    total_copied          BIGINT NOT NULL,
    total_adopted         BIGINT NOT NULL,
    total_redelivered     BIGINT NOT NULL,
    total_surplus         BIGINT NOT NULL,
    total_moved_at_source BIGINT NOT NULL,
    total_flags_updated   BIGINT NOT NULL,
    total_bytes           BIGINT NOT NULL,

    running              BOOLEAN NOT NULL,  -- last_* is of a pass under way, not yet in total_*
    last_folders         BIGINT NOT NULL,
    last_folders_done    BIGINT NOT NULL,
    last_seen            BIGINT NOT NULL,
    last_unchanged       BIGINT NOT NULL,
    last_copied          BIGINT NOT NULL,
    last_adopted         BIGINT NOT NULL,
    last_skipped         BIGINT NOT NULL,
    last_failed          BIGINT NOT NULL,
    last_redelivered     BIGINT NOT NULL,
    last_surplus         BIGINT NOT NULL,
    last_moved_at_source BIGINT NOT NULL,
    last_flags_updated   BIGINT NOT NULL,
    last_bytes           BIGINT NOT NULL,
    last_bytes_total     BIGINT NOT NULL,
    UNIQUE (batch_id, email_key)
);
CREATE INDEX users_due ON users (batch_id, turn, next_run_at, id) WHERE next_run_at IS NOT NULL;
CREATE INDEX users_email ON users (email_key);
CREATE INDEX users_status ON users (status);
CREATE INDEX users_login ON users (target_login);
CREATE INDEX users_removing ON users (batch_id) WHERE removing;

CREATE TABLE items (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id     BIGINT  NOT NULL,
    batch_id   BIGINT  NOT NULL,
    user_id    BIGINT  NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    folder     TEXT    NOT NULL,
    uid        BIGINT  NOT NULL,  -- 0: the folder itself
    message_id TEXT    NOT NULL,
    date       BIGINT,
    size       BIGINT  NOT NULL,
    code       TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    UNIQUE (user_id, folder, uid)
);
CREATE INDEX items_batch ON items (batch_id, id);

CREATE TABLE receipts (
    user_id  BIGINT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    org_id   BIGINT NOT NULL,
    batch_id BIGINT NOT NULL,
    body     TEXT   NOT NULL
);

CREATE TABLE records (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id  BIGINT  NOT NULL,
    user_id BIGINT  NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    folder  TEXT    NOT NULL,
    head    BLOB,
    UNIQUE (user_id, folder)
);

CREATE TABLE journal (
    record_id BIGINT NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    seq       BIGINT NOT NULL,
    org_id    BIGINT NOT NULL,
    data      BLOB   NOT NULL,
    PRIMARY KEY (record_id, seq)
);

-- One row a target mailbox, for ever: it outlives user and batch, and holds nothing
-- about them while it is free.
CREATE TABLE leases (
    mailbox            BLOB    NOT NULL PRIMARY KEY,  -- see mailboxKey
    token              BIGINT  NOT NULL UNIQUE,
    state              TEXT    NOT NULL,  -- free, queued, running
    unsettled          BOOLEAN NOT NULL DEFAULT FALSE,
    counted_by         BIGINT  NOT NULL DEFAULT 0,  -- the organisation whose usage counts this mailbox
    org_id             BIGINT  NOT NULL DEFAULT 0,
    user_id            BIGINT  REFERENCES users (id),
    kind               TEXT    NOT NULL DEFAULT '',
    source_endpoint_id BIGINT  NOT NULL DEFAULT 0,
    target_endpoint_id BIGINT  NOT NULL DEFAULT 0,
    worker_id          TEXT    NOT NULL DEFAULT '',
    beat               BIGINT  NOT NULL DEFAULT 0,
    progressed         BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE UNIQUE INDEX leases_user ON leases (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX leases_live ON leases (source_endpoint_id, target_endpoint_id, kind) WHERE state <> 'free';

-- One row: the latest lease token. Tokens are never used again.
CREATE TABLE lease_tokens (
    latest BIGINT NOT NULL
);
INSERT INTO lease_tokens (latest) VALUES (0);

CREATE TABLE usage (
    org_id    BIGINT NOT NULL,
    day       BIGINT NOT NULL,  -- days since 1970 in UTC
    bytes     BIGINT NOT NULL,
    mailboxes BIGINT NOT NULL,
    PRIMARY KEY (org_id, day)
);

CREATE TABLE reports (
    org_id BIGINT NOT NULL,
    batch  TEXT   NOT NULL,
    body   BLOB   NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (org_id, batch)
);

-- What is to be done to the database file as soon as it can be: see scrub.
CREATE TABLE chores (
    name TEXT   NOT NULL PRIMARY KEY,
    due  BIGINT NOT NULL  -- raised each time it falls due anew
);
