"""GameServers: programs that play one room each, how they are spoken to, and how clients get there (docs/protocol/game-port.md)."""
