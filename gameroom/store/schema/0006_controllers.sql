-- Rooms of turn games, and what is said in them that must not be said or done twice.

-- The ids of a room's messages: up to this one they may have been used.
CREATE TABLE message_ids (
    room_id TEXT PRIMARY KEY REFERENCES rooms (room_id) ON DELETE CASCADE,
    ahead BIGINT NOT NULL
);

-- What members' moves were answered, for the newest of them.
CREATE TABLE answers (
    room_id TEXT NOT NULL REFERENCES rooms (room_id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    -- Of the member's message.
    id BIGINT NOT NULL,
    -- JSON.
    answer TEXT NOT NULL,
    PRIMARY KEY (room_id, user_id, id)
);

-- What a room plays, or has played last, as of the newest move.
CREATE TABLE turn_games (
    room_id TEXT PRIMARY KEY REFERENCES rooms (room_id) ON DELETE CASCADE,
    -- JSON.
    state TEXT NOT NULL
);

-- The level of a player that is played by the server; NULL for people.
ALTER TABLE members ADD COLUMN bot INTEGER;
