-- Runs on SQLite and PostgreSQL alike. Times are milliseconds since 1970, UTC.

-- Owns the workspaces that templates keep ready, until somebody gets one. The name is
-- none that a user can have, and the role none that anybody is given.
INSERT INTO users (id, name, role, created) VALUES ('warmpoolofnobody', '~nobody', 'nobody', 0);
