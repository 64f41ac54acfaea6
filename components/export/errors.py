"""What can go wrong in an export."""

from orchestration import HeadraceError


class ExportError(HeadraceError):
    """A model cannot be exported, or an export does not answer as its source."""
