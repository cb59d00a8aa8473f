"""Micro game services: stateless programs that compute a room's next state, here or elsewhere (docs/protocol/game-service.md)."""
