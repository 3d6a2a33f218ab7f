-- Runs on SQLite and PostgreSQL alike. Times are milliseconds since 1970, UTC.
-- What a secret hashes to is in hexadecimal digits, SHA-256.

-- Argon2id, in the form of a PHC string. NULL: none is set.
ALTER TABLE users ADD COLUMN password TEXT;

CREATE TABLE logins (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    secret TEXT NOT NULL UNIQUE,
    method TEXT NOT NULL,
    created BIGINT NOT NULL,
    last_used BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL
);

CREATE INDEX logins_by_user ON logins (user_id);

CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    secret TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    created BIGINT NOT NULL,
    last_used BIGINT,
    expires BIGINT
);

CREATE INDEX tokens_by_user ON tokens (user_id);

-- One-time links that sign somebody in.
CREATE TABLE links (
    secret TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);

-- Ports of workspaces that others than the owner may open.
CREATE TABLE ports (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    port BIGINT NOT NULL,
    visibility TEXT NOT NULL,
    expires BIGINT,
    changed BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, port)
);

-- What happened. It outlives whom and what it is about.
CREATE TABLE events (
    id BIGINT NOT NULL PRIMARY KEY,
    time BIGINT NOT NULL,
    kind TEXT NOT NULL,
    user_id TEXT,
    user_name TEXT,
    workspace_id TEXT,
    workspace_name TEXT,
    data TEXT NOT NULL
);

CREATE INDEX events_by_user ON events (user_id, id);

-- Requests that carried a key by which they are told from their repetition.
CREATE TABLE requests (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    request_key TEXT NOT NULL,
    body TEXT NOT NULL,
    workspace_id TEXT,
    created BIGINT NOT NULL,
    PRIMARY KEY (user_id, request_key)
);
