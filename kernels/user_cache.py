"""Where compiled kernels are kept between runs: one directory for each state of the sources."""

import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path


def directory(kind: str, key: str) -> Path | None:
    """The directory for compiled code of this kind and key, made if need be; None if it cannot be.

    Below $TINYNET_CACHE_DIR, or the user's cache directory. Directories of the same kind that
    nobody has used for a month are removed.
    """
    path = _user_cache() / kind / key
    try:
        path.mkdir(parents=True, exist_ok=True)
        os.utime(path)  # marks it as used, see _remove_unused
    except OSError:
        return None
    if not os.access(path, os.W_OK):
        return None
    _remove_unused(path.parent)
    return path


def _user_cache() -> Path:
    chosen = os.environ.get("TINYNET_CACHE_DIR")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tinynet"


def _remove_unused(parent: Path, days: float = 30) -> None:
    for path in parent.iterdir():
        with suppress(FileNotFoundError):  # another process has removed it
            if time.time() - path.stat().st_mtime > days * 86400:
                shutil.rmtree(path, ignore_errors=True)
