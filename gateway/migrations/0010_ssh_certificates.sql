-- Runs on SQLite and PostgreSQL alike. Times are milliseconds since 1970, UTC.

-- SSH user certificates that were signed. `login_id` or `token_id` is what asked for it:
-- it counts no longer than that.
CREATE TABLE ssh_certificates (
    serial BIGINT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    login_id TEXT,
    token_id TEXT,
    key_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    principals TEXT NOT NULL,
    source_addresses TEXT NOT NULL,
    actions TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    revoked BIGINT
);

CREATE INDEX ssh_certificates_by_user ON ssh_certificates (user_id);
