"""Weights from the net, kept in a folder, with the names of `torch.hub`."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from . import parity as _parity

_folder: list[Path] = []


def get_dir() -> str:
    """Where files are kept: `set_dir`, else $TINYNET_HOME/hub, else ~/.cache/tinynet/hub."""
    if _folder:
        return str(_folder[0])
    home = os.environ.get("TINYNET_HOME") or Path.home() / ".cache" / "tinynet"
    return str(Path(home) / "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Keep files in this folder."""
    _folder[:] = [Path(d).expanduser()]


def download_url_to_file(
    url: str, dst: str | os.PathLike[str], hash_prefix: str | None = None, progress: bool = True
) -> None:
    """Fetch a file to `dst`; RuntimeError unless its SHA-256 begins with hash_prefix, if given."""
    with urllib.request.urlopen(url) as answer:
        content = answer.read()
    digest = hashlib.sha256(content).hexdigest()
    if hash_prefix and not digest.startswith(hash_prefix):
        raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{digest}")')
    path = Path(dst)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)


def load_state_dict_from_url(
    url: str,
    model_dir: str | os.PathLike[str] | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = True,
) -> Any:
    """The state dict in a file of PyTorch's (or .safetensors) at this address, fetched once.

    check_hash: the name must hold the beginning of the file's SHA-256, as `resnet18-f37072fd.pth`.
    Nothing in the file is executed.
    """
    from importlib import import_module

    path = Path(model_dir or Path(get_dir()) / "checkpoints")
    path = path / (file_name or Path(urlparse(url).path).name)
    if not path.exists():
        prefix = path.stem.rpartition("-")[2] if check_hash else None
        download_url_to_file(url, path, prefix, progress)
    return import_module("tinynet.io").load(path, map_location=map_location)


__getattr__ = _parity.module_getattr(__name__)
