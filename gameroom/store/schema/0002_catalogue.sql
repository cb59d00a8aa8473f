-- The store's games and their versions.

CREATE TABLE games (
    game_id TEXT PRIMARY KEY,
    -- The account id of a developer, or 'gameroom' for what ships with the daemon.
    developer TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    game_type TEXT NOT NULL,
    max_players INTEGER NOT NULL,
    -- ONLINE or OFFLINE.
    status TEXT NOT NULL,
    -- 1 once the developer has set the status: a first version no longer makes the game ONLINE by itself.
    status_set INTEGER NOT NULL,
    created_ms BIGINT NOT NULL,
    UNIQUE (developer, name)
);

CREATE INDEX games_newest ON games (created_ms, game_id);

CREATE TABLE versions (
    game_id TEXT NOT NULL REFERENCES games (game_id) ON DELETE CASCADE,
    -- As its developer wrote it.
    version TEXT NOT NULL,
    -- rules/versions.py: compares byte for byte as semver precedence does.
    precedence BYTEA NOT NULL,
    size_bytes BIGINT NOT NULL,
    -- SHA-256, hex.
    checksum TEXT NOT NULL,
    uploaded_ms BIGINT NOT NULL,
    yanked INTEGER NOT NULL,
    -- What the bundle's game.toml says, as JSON.
    hosting TEXT NOT NULL,
    PRIMARY KEY (game_id, version),
    -- Two versions that compare equal are the same one; the newest is found by this, too.
    UNIQUE (game_id, precedence)
);
