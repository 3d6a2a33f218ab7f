-- Runs on SQLite and PostgreSQL alike. Times are milliseconds since 1970, UTC.

-- Named secrets. The holder is a user's id, or 'installation', for which user_id is NULL.
-- The value is sealed with a key that isn't in here, bound to holder and name; base64.
CREATE TABLE secrets (
    holder TEXT NOT NULL,
    name TEXT NOT NULL,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    sealed TEXT NOT NULL,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (holder, name)
);

CREATE INDEX secrets_by_user ON secrets (user_id);
