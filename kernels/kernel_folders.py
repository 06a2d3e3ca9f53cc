"""Where compiled kernels are kept, and where they may come from: only folders in which nobody else can put others.

What else is compiled and run later, such as the templates of a report, is kept beside them.

EARMARK_CACHE_DIR names a folder, and the user's cache folder is there without it. One that this user cannot write into,
as a container ships it, is read where it is trusted; what is still compiled is kept in the user's. Within either, a
folder is named after the hash of all kernel sources. Knows no kernel and no numba.
"""

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class KernelFolders(NamedTuple):
    """Folders of compiled kernels; None where there is none that can be trusted."""

    kept: Path | None  # read, and written into
    shipped: Path | None  # only read


def _digest() -> str:
    """The hash of all kernel sources: an edit of any is another cache, and a copy with other times is the same."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for source in sorted(here.rglob("*.py")):
        digest.update(source.relative_to(here).as_posix().encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]


def folders(name: str) -> KernelFolders:
    """Those of this name: kernels have one, and so has anything else that is compiled."""
    declared = os.environ.get("EARMARK_CACHE_DIR")
    if not declared:
        return KernelFolders(_in_users_cache(name), None)
    kept = _kept_in(Path(declared), name)
    shipped = None if kept else _shipped_in(Path(declared), name)
    return KernelFolders(_in_users_cache(name) if shipped else kept, shipped)


def _in_users_cache(name: str) -> Path | None:
    try:
        return _kept_in(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "earmark", name)
    except RuntimeError:  # there is no home
        return None


def _kept_in(root: Path, name: str) -> Path | None:
    """The folder of this name in `root`, made where it is missing; None where somebody else can write into it.

    numba runs what it reads from its cache. So the folder is ours and no link, and nobody but us and root can put
    another in its place, or in the place of one above it.
    """
    with suppress(OSError, RuntimeError):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root = root.resolve(strict=True)
        folder = root / name
        if not hasattr(os, "geteuid"):  # on Windows a user's folders are the user's
            folder.mkdir(exist_ok=True)
            return folder
        if not _above_is_safe(root):
            return None
        with suppress(FileExistsError):
            os.mkdir(folder, mode=0o700)
        about = os.lstat(folder)
        ours = stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid() and not about.st_mode & 0o022
        return folder if ours and os.access(folder, os.W_OK) else None
    return None


def _shipped_in(root: Path, name: str) -> Path | None:
    """The folder of this name in `root`, where it and all that it holds are root's or ours, and nobody else writes."""
    with suppress(OSError, RuntimeError):
        root = root.resolve(strict=True)
        folder = root / name
        if hasattr(os, "geteuid") and _above_is_safe(root) and all(map(_untouched, (folder, *folder.rglob("*")))):
            return folder
    return None


def open_to_readers(folder: Path) -> None:
    """Let all users read a folder of kernels: it is to be shipped. Nobody else can write into it, as before."""
    for path in (folder.parent, folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))


def _above_is_safe(root: Path) -> bool:
    """Whether only we and root can replace what this folder and those above it hold of ours."""
    for about in map(os.lstat, (root, *root.parents)):
        if about.st_uid not in (0, os.geteuid()) or (about.st_mode & 0o022 and not about.st_mode & stat.S_ISVTX):
            return False
    return True


def _untouched(path: Path) -> bool:
    """Whether a file or folder, no link, can be changed by nobody but us and root."""
    about = os.lstat(path)
    kind = stat.S_ISDIR(about.st_mode) or stat.S_ISREG(about.st_mode)
    return kind and about.st_uid in (0, os.geteuid()) and not about.st_mode & 0o022


NAME = f"kernels-{_digest()}"
FOLDERS = folders(NAME)
