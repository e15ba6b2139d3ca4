-- The users of a batch in one status come in the order of their addresses, however many
-- there are and whatever the planner knows of them. Counts by status read it alone.

-- +goose Up
DROP INDEX users_status;
CREATE INDEX users_status ON users (batch_id, status, email_key);
