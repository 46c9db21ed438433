"""File hashes: how checkpoints and exported models notice damage."""

import hashlib
from pathlib import Path

from nmt.reading import open_file


def file_hash(path: Path, limit: int | None = None, within: Path | None = None) -> str:
    """SHA-256 of a file's bytes, in hexadecimal. Raises OSError as `open_file` does."""
    with open_file(path, limit, within) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
