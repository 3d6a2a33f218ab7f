-- Runs on SQLite and PostgreSQL alike. Times are milliseconds since 1970, UTC.

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    created BIGINT NOT NULL
);

CREATE TABLE ssh_keys (
    fingerprint TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    public_key TEXT NOT NULL,
    label TEXT NOT NULL,
    created BIGINT NOT NULL
);

CREATE INDEX ssh_keys_by_user ON ssh_keys (user_id);

CREATE TABLE workspaces (
    id TEXT NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    created BIGINT NOT NULL,
    intent TEXT NOT NULL,
    state TEXT NOT NULL,
    failure TEXT,
    changed BIGINT NOT NULL,
    UNIQUE (owner_id, name)
);
