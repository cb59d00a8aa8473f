-- The state of a room that is set up, below `setup`, where its engine describes states of its own; empty where setup begins.

ALTER TABLE rooms ADD COLUMN setup_state TEXT NOT NULL DEFAULT '';
