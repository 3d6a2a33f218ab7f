-- Runs on SQLite and PostgreSQL alike. Times are milliseconds since 1970, UTC.

-- When a workspace is deleted by itself. NULL: it isn't.
ALTER TABLE workspaces ADD COLUMN expires BIGINT;
