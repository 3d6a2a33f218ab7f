-- Runs on SQLite and PostgreSQL alike. Times are milliseconds since 1970, UTC.

-- A deleted workspace gives its name free at once and is kept for a while: `name` is
-- then '~' and its id, which nobody can choose, so that UNIQUE (owner_id, name) counts
-- living ones alone; `former_name` is what it was called.
ALTER TABLE workspaces ADD COLUMN former_name TEXT;

-- When it was deleted. NULL: it lives.
ALTER TABLE workspaces ADD COLUMN deleted BIGINT;

-- Until when it can be restored.
ALTER TABLE workspaces ADD COLUMN kept_until BIGINT;

-- A deletion that was begun before there was a grace time was said to be for good.
UPDATE workspaces
SET intent = 'purge', former_name = name, name = '~' || id, deleted = changed, kept_until = changed
WHERE intent = 'delete';
