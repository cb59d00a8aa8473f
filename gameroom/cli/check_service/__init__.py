"""What `gameroom dev check-service` is made of: it looks whether a micro game service is a function, how fast it is, and what it gets wrong."""
