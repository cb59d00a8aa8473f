"""What the cursors of both databases have in common."""

from __future__ import annotations


class TransactionState:
    """Whether a transaction still takes statements; the same answer on both databases.

    PostgreSQL takes nothing more in a transaction in which a statement has failed, and turns its COMMIT into a
    rollback without a word. So here the first failure dooms the transaction on SQLite too, and `interact` fails
    with it even where `work` has caught it.
    """

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self._ended = False

    def require_open(self) -> None:
        """Raises `RuntimeError` once the transaction is doomed or over."""
        if self._ended:
            raise RuntimeError("this cursor's transaction is over: await every statement inside of the interaction")
        if self.failure is not None:
            raise RuntimeError("a statement of this transaction has failed: let its error leave the interaction") from self.failure

    def end(self) -> None:
        self._ended = True
