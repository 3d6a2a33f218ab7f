-- Runs on SQLite and PostgreSQL alike. Times are milliseconds since 1970, UTC.

-- What keeps workspaces awake for a time.
CREATE TABLE leases (
    id TEXT NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    reason TEXT NOT NULL,
    user_name TEXT,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);

CREATE INDEX leases_by_workspace ON leases (workspace_id);

-- When workspaces wake and go to sleep by the clock, in cron form.
CREATE TABLE schedules (
    workspace_id TEXT NOT NULL PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    start_at TEXT,
    stop_at TEXT,
    time_zone TEXT NOT NULL
);

-- When something last went on in workspaces that run, and when that was looked at.
CREATE TABLE activity (
    workspace_id TEXT NOT NULL PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    last_active BIGINT NOT NULL,
    looked BIGINT NOT NULL
);
