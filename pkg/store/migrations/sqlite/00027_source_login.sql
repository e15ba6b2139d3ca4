-- +goose Up
-- Which mailbox of the source's host: see turnedLoginKey.
ALTER TABLE users ADD COLUMN source_login TEXT NOT NULL DEFAULT '';
UPDATE users SET source_login = (CASE WHEN user_name = '' THEN email_key ELSE LOWER(user_name) END
    || CASE WHEN user_root = '' THEN '' ELSE '
' || user_root END);
