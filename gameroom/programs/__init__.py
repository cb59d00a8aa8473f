"""Programs of bundles, in their sandbox (docs/protocol/bundles.md, "Running a bundle's program")."""
