-- Runs on SQLite and PostgreSQL alike. Times are milliseconds since 1970, UTC.

CREATE TABLE snapshots (
    id TEXT NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    -- Whether a person asked for it ('kept'), or it goes when nothing needs it ('passing').
    purpose TEXT NOT NULL,
    -- Of which workspace it was taken, which may be gone. NULL: it was pulled.
    workspace_id TEXT,
    workspace_name TEXT,
    -- What that was made of, in JSON.
    blueprint TEXT NOT NULL,
    created BIGINT NOT NULL,
    state TEXT NOT NULL,
    failure TEXT,
    size BIGINT,
    -- The last copy to a registry or from one, in JSON. NULL: there was none.
    transfer TEXT,
    UNIQUE (owner_id, name)
);

CREATE INDEX events_by_workspace ON events (workspace_id, id);
