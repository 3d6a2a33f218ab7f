-- Runs on SQLite and PostgreSQL alike.

-- What a workspace is made of, in JSON. NULL: what the configuration says.
ALTER TABLE workspaces ADD COLUMN blueprint TEXT;
