-- What developers upload, and what players say of it. All times are milliseconds of Unix time.

-- The sum and the number of a game's scores, so that a list of games need not read its reviews.
ALTER TABLE games ADD COLUMN score_sum BIGINT NOT NULL DEFAULT 0;
ALTER TABLE games ADD COLUMN score_count BIGINT NOT NULL DEFAULT 0;

CREATE INDEX games_of_developer ON games (developer, created_ms, game_id);

-- Uploads that are not finished. Their bytes are in files, and how far they are is seen from those.
CREATE TABLE uploads (
    upload_id TEXT PRIMARY KEY,
    game_id TEXT NOT NULL REFERENCES games (game_id) ON DELETE CASCADE,
    -- The account id of its developer.
    developer TEXT NOT NULL,
    -- As its developer wrote it.
    version TEXT NOT NULL,
    precedence BYTEA NOT NULL,
    size_bytes BIGINT NOT NULL,
    -- SHA-256, hex; empty where none was declared.
    checksum TEXT NOT NULL,
    begun_ms BIGINT NOT NULL,
    -- Which boot of the machine has written the bytes: after another one they may be lost.
    boot TEXT NOT NULL,
    UNIQUE (game_id, precedence)
);

CREATE INDEX uploads_of_developer ON uploads (developer);

-- One for each player and game.
CREATE TABLE reviews (
    game_id TEXT NOT NULL REFERENCES games (game_id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    score INTEGER NOT NULL,
    comment TEXT NOT NULL,
    -- Different for each review of a game, so that a list can go on from it.
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (game_id, account_id)
);

CREATE UNIQUE INDEX reviews_newest ON reviews (game_id, created_ms);

-- Who has downloaded a game, or played it.
CREATE TABLE game_players (
    game_id TEXT NOT NULL REFERENCES games (game_id) ON DELETE CASCADE,
    -- The canonical name of a player's account.
    account TEXT NOT NULL,
    PRIMARY KEY (game_id, account)
);

-- The latest version is a release wherever there is one.
ALTER TABLE versions ADD COLUMN pre_release INTEGER NOT NULL DEFAULT 0;

CREATE INDEX versions_latest ON versions (game_id, yanked, pre_release, precedence);
