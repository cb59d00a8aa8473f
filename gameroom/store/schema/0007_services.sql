-- Rooms whose next state a micro game service computes.

-- How far a room's game has come, as of the newest update that was answered; and of what it has played last.
CREATE TABLE service_games (
    room_id TEXT PRIMARY KEY REFERENCES rooms (room_id) ON DELETE CASCADE,
    play_id TEXT NOT NULL,
    -- Of that update; it runs on over all plays of the room.
    sequence BIGINT NOT NULL,
    -- What the service has made of it.
    state BYTEA NOT NULL,
    -- JSON: the players as the service was told them last.
    players TEXT NOT NULL,
    -- Frames: the last broadcasts, and the last views of each seat.
    shown BYTEA NOT NULL,
    -- When the service is to be told that its time has come; NULL where it has not asked for it.
    timer_ms BIGINT,
    -- JSON: how the last play that has ended did; NULL where none has.
    ended TEXT
);
