"""Original files from their homes: with progress, retries and checksums, by the library pooch."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .idx import DatasetError

RETRIES = 3


def download(urls: Sequence[str], path: Path, md5: str) -> None:
    """Fetch a file to `path` from the first of `urls` that gives it, unless it is there already.

    md5: the sum that its content must have; another content is never left under the file's name.
    Raises DatasetError with what went wrong at each place.
    """
    try:
        import pooch
        from requests import RequestException
    except ImportError as error:
        raise DatasetError(
            f"Downloading {path.name} needs the library pooch ({error}): pip install "
            f"'tinynet[download]', or put the original file into {path.parent} yourself."
        ) from None
    failures = []
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        for url in urls:
            files = pooch.create(
                path.parent,
                base_url="",
                registry={path.name: f"md5:{md5}"},
                urls={path.name: url},
                retry_if_failed=RETRIES,
            )
            with _Progress(path.name) as progress:
                try:
                    files.fetch(path.name, downloader=pooch.HTTPDownloader(progressbar=progress))
                    return
                except (RequestException, ValueError, OSError) as error:
                    if isinstance(error, OSError) and not isinstance(error, RequestException):
                        raise DatasetError(f"{path} cannot be written: {error}.") from None
                    reason = "other content" if isinstance(error, ValueError) else str(error)
                    failures.append(f"{url} ({reason})")
    finally:
        logger.setLevel(level)
    raise DatasetError(
        f"{path.name} could not be downloaded, after {RETRIES} more attempts each, from "
        f"{' or '.join(failures)}."
    )


class _Progress:
    """pooch's wishes for a progress bar (total, update, reset, close), granted by rich."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

        self.bar = Progress(
            "{task.description}",
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self.task = self.bar.add_task(name, total=None)

    def __enter__(self) -> _Progress:
        self.bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.bar.stop()

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "total":
            self.bar.update(self.task, total=value)
        else:
            super().__setattr__(name, value)

    def update(self, count: int) -> None:
        """So many more bytes have come."""
        self.bar.advance(self.task, count)

    def reset(self) -> None:
        """Count from the start again."""
        self.bar.update(self.task, completed=0)

    def close(self) -> None:
        """All bytes are there."""
