-- Living rooms, who is in them, and what was played.

CREATE TABLE rooms (
    room_id TEXT PRIMARY KEY,
    party_code TEXT NOT NULL UNIQUE,
    -- The node that holds the room.
    node TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    -- setup, starting or playing.
    phase TEXT NOT NULL,
    play_id TEXT,
    -- JSON.
    options TEXT NOT NULL,
    configuration TEXT NOT NULL,
    revision INTEGER NOT NULL,
    host TEXT,
    -- A JSON array of user_ids.
    banned TEXT NOT NULL,
    next_joined INTEGER NOT NULL
);

CREATE INDEX rooms_of_node ON rooms (node);

CREATE TABLE members (
    room_id TEXT NOT NULL REFERENCES rooms (room_id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    -- Grows in the order in which they came.
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- The account's canonical name; empty for a guest.
    account TEXT NOT NULL,
    seat INTEGER,
    -- SHA-256 of the seat token, hex.
    token_hash TEXT NOT NULL,
    joined INTEGER NOT NULL,
    ready INTEGER NOT NULL,
    locked INTEGER NOT NULL,
    PRIMARY KEY (room_id, user_id)
);

-- An account holds at most one seat at a time.
CREATE UNIQUE INDEX members_one_seat ON members (account) WHERE account <> '' AND seat IS NOT NULL;

CREATE TABLE plays (
    play_id TEXT PRIMARY KEY,
    room_id TEXT NOT NULL,
    -- Empty where the room's engine was submitted.
    game_id TEXT NOT NULL,
    started_ms BIGINT NOT NULL,
    ended_ms BIGINT,
    reason TEXT
);

CREATE INDEX plays_ended ON plays (ended_ms);

-- Who may read a play's recording.
CREATE TABLE play_members (
    play_id TEXT NOT NULL REFERENCES plays (play_id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    account TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    PRIMARY KEY (play_id, user_id)
);
