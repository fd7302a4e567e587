"""What may be spent on a server: requests and tokens, counted before they are asked for."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from kinprint.errors import SpentError


@dataclass
class Budget:
    """How much may be asked, and what has been.

    Attributes:
        most_requests, most_tokens: None for no limit.
        requests: sent, those that were sent again among them.
        tokens: read and written, as the server counts them; where it does not, what they can be at most.
    """

    most_requests: int | None = None
    most_tokens: int | None = None
    requests: int = 0
    tokens: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def reserve(self, tokens: int) -> None:
        """Take one request of at most so many tokens out of the budget.

        Raises:
            SpentError: that would be more than is left.
        """
        with self._lock:
            if self.most_requests is not None and self.requests + 1 > self.most_requests:
                raise SpentError(f"--max-requests {self.most_requests:,} is reached")
            if self.most_tokens is not None and self.tokens + tokens > self.most_tokens:
                raise SpentError(f"--max-tokens {self.most_tokens:,} would be passed")
            self.requests += 1
            self.tokens += tokens

    def settle(self, reserved: int, counted: int | None) -> None:
        """Give back what was reserved and not used."""
        if counted is not None:
            with self._lock:
                self.tokens -= reserved - min(counted, reserved)
