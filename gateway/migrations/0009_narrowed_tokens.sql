-- Runs on SQLite and PostgreSQL alike.

-- What a token is narrowed to, as JSON. NULL: to nothing.
ALTER TABLE tokens ADD COLUMN narrowed_to TEXT;
