"""What a player's or a developer's own program uses to talk to gameroom, in Twisted (docs/client.md)."""
