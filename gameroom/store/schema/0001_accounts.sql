-- Accounts and their sessions. All times are milliseconds of Unix time.

CREATE TABLE accounts (
    account_id TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    username TEXT NOT NULL,
    key TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    suspended INTEGER NOT NULL DEFAULT 0,
    created_ms BIGINT NOT NULL,
    login_ms BIGINT NOT NULL,
    UNIQUE (role, key)
);

-- What the names of a role look like. A row is one look: of one name that is not ASCII, or of any number that are.
CREATE TABLE account_skeletons (
    role TEXT NOT NULL,
    skeleton TEXT NOT NULL,
    is_ascii INTEGER NOT NULL,
    PRIMARY KEY (role, skeleton)
);

-- Which sessions are superseded is kept until they would have expired, so that their tokens can be told from unknown ones.
CREATE TABLE sessions (
    token_hash TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (account_id),
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    superseded_ms BIGINT
);

CREATE INDEX sessions_by_end ON sessions (account_id, expires_ms);

-- Of an account that logs in all day long only the newest session is looked at.
CREATE INDEX sessions_that_live ON sessions (account_id) WHERE superseded_ms IS NULL;
