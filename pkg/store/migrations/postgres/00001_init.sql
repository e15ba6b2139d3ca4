-- Times are microseconds since 1970 in UTC, NULL where there is none; durations
-- are microseconds; lists and receipts are JSON. Sealed secrets are BYTEA.
-- COLLATE "C": names are in the order of their bytes, whatever the server's locale,
-- and no upgrade of its locale can break an index.

-- +goose Up
CREATE TABLE orgs (
    id         BIGINT           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at BIGINT           NOT NULL,
    served     BIGINT           NOT NULL DEFAULT 0  -- the latest lease token admitted: round robin
);

CREATE TABLE tokens (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_id     BIGINT           NOT NULL,  -- 0: any organisation
    role       TEXT COLLATE "C" NOT NULL,
    hash       BYTEA            NOT NULL UNIQUE,
    created_at BIGINT           NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX tokens_org ON tokens (org_id);

CREATE TABLE events (
    id       BIGINT           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id   BIGINT           NOT NULL,
    batch_id BIGINT           NOT NULL,  -- 0: none; no reference, audit lines outlive batches
    user_id  BIGINT           NOT NULL,  -- 0: none
    kind     TEXT COLLATE "C" NOT NULL,
    actor    TEXT COLLATE "C" NOT NULL,  -- '': the service itself; others are the audit
    at       BIGINT           NOT NULL,
    data     TEXT COLLATE "C" NOT NULL
);
CREATE INDEX events_org ON events (org_id, id);
CREATE INDEX events_batch ON events (batch_id, id) WHERE batch_id <> 0;
CREATE INDEX events_user ON events (user_id) WHERE user_id <> 0;
CREATE INDEX events_audit ON events (org_id, id) WHERE actor <> '';

-- Who adds an event says so before its id is drawn, until the transaction has ended:
-- all its ids are above the number in the lock's key. See eventsSettled.
-- +goose StatementBegin
CREATE FUNCTION events_announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared((2::bigint << 48) | (SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM events_id_seq));
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER events_announce BEFORE INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION events_announce();

CREATE TABLE idempotency (
    org_id       BIGINT           NOT NULL,
    token_id     TEXT COLLATE "C" NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,  -- the key
    request_hash BYTEA            NOT NULL,
    status       BIGINT           NOT NULL,
    header       TEXT COLLATE "C" NOT NULL,
    body         BYTEA,
    at           BIGINT           NOT NULL,
    PRIMARY KEY (org_id, token_id, name)
);
CREATE INDEX idempotency_at ON idempotency (at);

CREATE TABLE endpoints (
    id               BIGINT           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id           BIGINT           NOT NULL REFERENCES orgs (id),
    name             TEXT COLLATE "C" NOT NULL,
    preset           TEXT COLLATE "C" NOT NULL,
    host             TEXT COLLATE "C" NOT NULL,
    host_key         TEXT COLLATE "C" NOT NULL,  -- which mail system: see hostKey
    port             BIGINT           NOT NULL,
    security         TEXT COLLATE "C" NOT NULL,
    auth             TEXT COLLATE "C" NOT NULL,
    login_template   TEXT COLLATE "C" NOT NULL,
    admin_user       TEXT COLLATE "C" NOT NULL,
    test_mailbox     TEXT COLLATE "C" NOT NULL,
    max_migrations   BIGINT           NOT NULL,
    max_incrementals BIGINT           NOT NULL,
    admin_secret     BYTEA,
    park_until       BIGINT,
    park_interval    BIGINT           NOT NULL DEFAULT 0,
    park_code        TEXT COLLATE "C" NOT NULL DEFAULT '',
    park_reason      TEXT COLLATE "C" NOT NULL DEFAULT '',
    park_held        BOOLEAN          NOT NULL DEFAULT FALSE,
    probe            BIGINT           NOT NULL DEFAULT 0,   -- token of the lease that went first after the park
    last_kind        TEXT COLLATE "C" NOT NULL DEFAULT '',  -- of the first syncs and resyncs, which was admitted last
    created_at       BIGINT           NOT NULL,
    UNIQUE (org_id, name)
);

CREATE TABLE batches (
    id                 BIGINT           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id             BIGINT           NOT NULL REFERENCES orgs (id),
    name               TEXT COLLATE "C" NOT NULL,
    type               TEXT COLLATE "C" NOT NULL,
    source_endpoint_id BIGINT           NOT NULL REFERENCES endpoints (id),
    target_endpoint_id BIGINT           NOT NULL REFERENCES endpoints (id),
    auto_start         BOOLEAN          NOT NULL,
    start_at           BIGINT,
    complete_at        BIGINT,
    exclude_folders    TEXT COLLATE "C" NOT NULL,
    include_folders    TEXT COLLATE "C" NOT NULL,
    deletions          TEXT COLLATE "C" NOT NULL,
    resync_interval    BIGINT           NOT NULL,
    notify             TEXT COLLATE "C" NOT NULL,
    created_at         BIGINT           NOT NULL,
    created_by         TEXT COLLATE "C" NOT NULL,
    started_at         BIGINT,
    stopped            BOOLEAN          NOT NULL,
    completing         BOOLEAN          NOT NULL,
    removing           BOOLEAN          NOT NULL,
    next_due_at        BIGINT,            -- no user of the batch is due before it; NULL: none is due by itself
    served             BIGINT           NOT NULL DEFAULT 0,
    UNIQUE (org_id, name)
);
CREATE INDEX batches_due ON batches (next_due_at) WHERE next_due_at IS NOT NULL;
CREATE INDEX batches_removing ON batches (id) WHERE removing;
CREATE INDEX batches_source ON batches (source_endpoint_id);
CREATE INDEX batches_target ON batches (target_endpoint_id);

CREATE TABLE users (
    id               BIGINT           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id           BIGINT           NOT NULL,
    batch_id         BIGINT           NOT NULL REFERENCES batches (id),
    email            TEXT COLLATE "C" NOT NULL,
    email_key        TEXT COLLATE "C" NOT NULL,  -- lower case
    user_name        TEXT COLLATE "C" NOT NULL,
    target_user_name TEXT COLLATE "C" NOT NULL,
    target_login     TEXT COLLATE "C" NOT NULL,  -- which mailbox of the target's host: see loginKey
    user_root        TEXT COLLATE "C" NOT NULL,
    target_root      TEXT COLLATE "C" NOT NULL,
    source_secret    BYTEA,
    target_secret    BYTEA,

    status          TEXT COLLATE "C" NOT NULL,
    code            TEXT COLLATE "C" NOT NULL,
    reason          TEXT COLLATE "C" NOT NULL,
    next_run_at     BIGINT,
    yielded         BOOLEAN          NOT NULL,
    attempts        BIGINT           NOT NULL,
    failing_since   BIGINT,
    takeovers       BIGINT           NOT NULL,
    stopping        BOOLEAN          NOT NULL,
    completing      BOOLEAN          NOT NULL,
    removing        BOOLEAN          NOT NULL,
    verify_due      BOOLEAN          NOT NULL,
    first_synced_at BIGINT,
    last_synced_at  BIGINT,
    -- The order of admission, and with it the kind of pass: see turnKinds.
    turn BIGINT NOT NULL GENERATED ALWAYS AS (
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
    last_folders         BIGINT  NOT NULL,
    last_folders_done    BIGINT  NOT NULL,
    last_seen            BIGINT  NOT NULL,
    last_unchanged       BIGINT  NOT NULL,
    last_copied          BIGINT  NOT NULL,
    last_adopted         BIGINT  NOT NULL,
    last_skipped         BIGINT  NOT NULL,
    last_failed          BIGINT  NOT NULL,
    last_redelivered     BIGINT  NOT NULL,
    last_surplus         BIGINT  NOT NULL,
    last_moved_at_source BIGINT  NOT NULL,
    last_flags_updated   BIGINT  NOT NULL,
    last_bytes           BIGINT  NOT NULL,
    last_bytes_total     BIGINT  NOT NULL,
    UNIQUE (batch_id, email_key)
) WITH (fillfactor = 80);
CREATE INDEX users_due ON users (batch_id, turn, next_run_at, id) WHERE next_run_at IS NOT NULL;
CREATE INDEX users_email ON users (email_key);
CREATE INDEX users_status ON users (status);
CREATE INDEX users_login ON users (target_login);
CREATE INDEX users_removing ON users (batch_id) WHERE removing;

CREATE TABLE items (
    id         BIGINT           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id     BIGINT           NOT NULL,
    batch_id   BIGINT           NOT NULL,
    user_id    BIGINT           NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    folder     TEXT COLLATE "C" NOT NULL,
    uid        BIGINT           NOT NULL,  -- 0: the folder itself
    message_id TEXT COLLATE "C" NOT NULL,
    date       BIGINT,
    size       BIGINT           NOT NULL,
    code       TEXT COLLATE "C" NOT NULL,
    reason     TEXT COLLATE "C" NOT NULL,
    UNIQUE (user_id, folder, uid)
);
CREATE INDEX items_batch ON items (batch_id, id);

CREATE TABLE receipts (
    user_id  BIGINT           NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    org_id   BIGINT           NOT NULL,
    batch_id BIGINT           NOT NULL,
    body     TEXT COLLATE "C" NOT NULL
);

CREATE TABLE records (
    id      BIGINT           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id  BIGINT           NOT NULL,
    user_id BIGINT           NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    folder  TEXT COLLATE "C" NOT NULL,
    head    BYTEA,
    UNIQUE (user_id, folder)
);

CREATE TABLE journal (
    record_id BIGINT NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    seq       BIGINT NOT NULL,
    org_id    BIGINT NOT NULL,
    data      BYTEA  NOT NULL,
    PRIMARY KEY (record_id, seq)
);

-- One row a target mailbox, for ever: it outlives user and batch, and holds nothing
-- about them while it is free. Beats find room on the row's own page (fillfactor),
-- without a new entry in any index.
CREATE TABLE leases (
    mailbox            BYTEA            NOT NULL PRIMARY KEY,  -- see mailboxKey
    token              BIGINT           NOT NULL UNIQUE,
    state              TEXT COLLATE "C" NOT NULL,  -- free, queued, running
    unsettled          BOOLEAN          NOT NULL DEFAULT FALSE,
    counted_by         BIGINT           NOT NULL DEFAULT 0,  -- the organisation whose usage counts this mailbox
    org_id             BIGINT           NOT NULL DEFAULT 0,
    user_id            BIGINT           REFERENCES users (id),
    kind               TEXT COLLATE "C" NOT NULL DEFAULT '',
    source_endpoint_id BIGINT           NOT NULL DEFAULT 0,
    target_endpoint_id BIGINT           NOT NULL DEFAULT 0,
    worker_id          TEXT COLLATE "C" NOT NULL DEFAULT '',
    beat               BIGINT           NOT NULL DEFAULT 0,
    progressed         BOOLEAN          NOT NULL DEFAULT FALSE
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX leases_user ON leases (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX leases_live ON leases (source_endpoint_id, target_endpoint_id, kind) WHERE state <> 'free';

-- Lease tokens, which are never used again.
CREATE SEQUENCE lease_tokens AS BIGINT;

-- A day of an organisation is several rows, so that its passes need not wait for each
-- other.
CREATE TABLE usage (
    org_id    BIGINT NOT NULL,
    day       BIGINT NOT NULL,  -- days since 1970 in UTC
    part      BIGINT NOT NULL,
    bytes     BIGINT NOT NULL,
    mailboxes BIGINT NOT NULL,
    PRIMARY KEY (org_id, day, part)
);

CREATE TABLE reports (
    org_id BIGINT           NOT NULL,
    batch  TEXT COLLATE "C" NOT NULL,
    body   BYTEA            NOT NULL,
    at     BIGINT           NOT NULL,
    PRIMARY KEY (org_id, batch)
);
