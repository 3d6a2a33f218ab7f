-- Runs on SQLite and PostgreSQL alike. Times are milliseconds since 1970, UTC.

-- When a workspace's agent last ended by itself, and how. NULL: it didn't since somebody asked
-- something of it.
ALTER TABLE workspaces ADD COLUMN crashed BIGINT;
ALTER TABLE workspaces ADD COLUMN crash TEXT;
