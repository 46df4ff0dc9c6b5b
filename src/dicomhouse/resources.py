"""Where the project's SQL, dbt models and flows lie: in the installed package, or the checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource(*parts: str) -> Path:
    """The path of a shipped file or folder, such as `resource("sql", "lake")`."""
    installed = _PACKAGE.joinpath(*parts)
    return installed if installed.exists() else _PACKAGE.parents[1].joinpath(*parts)
