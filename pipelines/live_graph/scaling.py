"""When a pool grows and shrinks: by how late words come. No Ray."""

_LATE_S, _SOON_S = 1.0, 0.2  # words later than this call for more actors; all sooner than that for fewer
_LATE_CHECKS, _SOON_CHECKS = 3, 60  # in a row: a short jam is waited out, and who was hired stays a while


class Need:
    """Looked at once a second."""

    def __init__(self) -> None:
        self._late = self._soon = 0

    def after(self, lag_s: float) -> int:
        """Actors to hire (1) or dismiss (-1) now, given how late the latest stream's words come."""
        self._late = self._late + 1 if lag_s > _LATE_S else 0
        self._soon = self._soon + 1 if lag_s < _SOON_S else 0
        if self._late == _LATE_CHECKS:
            self._late = 0
            return 1
        if self._soon == _SOON_CHECKS:
            self._soon = 0
            return -1
        return 0
