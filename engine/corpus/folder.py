"""A corpus's folder: its tables, and what a table's audio references lead to, without ever leaving the folder.

Knows files and archives. Knows no benchmark and no question.
"""

import gzip
import io
import os
import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

from earmark.engine.corpus.audio import FileAudio, MissingAudio, RemoteAudio, TarAudio, ZipAudio, is_gzip
from earmark.engine.corpus.example import LFS, Audio
from earmark.engine.corpus.table_files import Unusable
from earmark.engine.errors import InputError, first_few
from earmark.engine.reading import check_utf8, open_regular
from earmark.engine.remote import url_left
from earmark.engine.zip_files import DAMAGE_ERRORS

_ALLOW = "move it into the folder, or allow it with --allow-outside if you trust who wrote it"
_DRIVE = re.compile(r"[A-Za-z]:/")  # an absolute path of another system
_DEEPEST = 6  # folders below the root that are looked into for tables
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
_MOST_MEMBERS = 200_000  # of a tar archive, which is read through to know them
_MOST_HEADER_BYTES = 1 << 20  # of a member of a tar archive
_OTHER_ARCHIVES = (".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tar.zst", ".7z", ".rar")


class Folder:
    """The folder of a corpus. Nothing outside it is opened unless that is allowed."""

    def __init__(self, root: Path, *, allow_outside: bool = False) -> None:
        self.root = Path(os.path.abspath(root))  # beside `.`, every relative path would count as inside
        self._allow_outside = allow_outside
        self._homes = _homes(self.root)
        self._archives: dict[Path, Mapping[str, Audio]] = {}
        self._endings: dict[Path, Mapping[str, list[str]]] = {}
        self._listing: list[str] | None = None

    def name(self, path: Path) -> str:
        """What to call a path in messages."""
        try:
            return path.relative_to(self.root).as_posix()
        except ValueError:
            return str(path)

    def files(self, *patterns: str) -> list[Path]:
        """The files that match a pattern (`*` within a name, `**/` for any folders), sorted, without hidden ones."""
        if self._listing is None:
            self._listing = sorted(_listing(self.root))
        pattern = re.compile("|".join(map(_pattern, patterns)))
        paths = [self.root / path for path in self._listing if pattern.fullmatch(path)]
        for path in paths:
            check_utf8(path, "rename it")
            self._confine(path, self.name(path))
        return [path for path in paths if path.is_file()]

    def pointer(self, paths: Iterable[Path]) -> InputError | None:
        """Why a table cannot be read that is only a pointer of Git LFS, as a clone without Git LFS leaves it."""
        for path in paths:
            with open_regular(path, "make it readable", path.stat().st_size) as file:
                if file.read(len(LFS)) == LFS:
                    do = "download it with `git lfs pull`"
                    return InputError(self.name(path), "is a Git LFS pointer, not the table", do)
        return None

    def audio(
        self,
        reference: str,
        where: str,
        *,
        beside: Path | None = None,
        under: Sequence[str] = (),
        archives: Sequence[Path] = (),
    ) -> Audio:
        """The recording that a table refers to; one that is nowhere is still an Audio, and decoding it raises why.

        It is looked for from the table's folder `beside` and from the root, as a file or through an archive that is
        part of the path (`clips.zip/a.wav`); then in the benchmark's `archives`; and, where a benchmark is known to
        write paths of another machine, by its mere name in the folders `under`. `where` is the row that errors name.

        Raises InputError for what leads outside the folder, Unusable for what is no path.
        """
        path = reference.replace("\\", "/")
        if "\x00" in path:
            raise Unusable("the path of its audio has a NUL character")
        foreign = "://" in path or path.startswith("/") or _DRIVE.match(path) is not None
        if "://" in path and not under:
            raise Unusable(f"its audio is a URL ({path}): download it and name the file")
        bases = dict.fromkeys((beside or self.root, self.root))
        places = [] if foreign and under else [place for base in bases if (place := self._place(base, path))]
        by_name = [self.root / folder / PurePosixPath(path).name for folder in under]
        if not places and not by_name:
            raise InputError(where, f"its audio '{path}' leads outside the folder", _ALLOW)
        for candidates in (places, by_name):
            existing = [place for place in candidates if os.path.exists(place) or url_left(place)]
            if existing and (len(existing) == 1 or candidates is places):
                self._confine(existing[0], where)
                name, url = self.name(existing[0]), url_left(existing[0])
                return FileAudio(str(existing[0]), name) if url is None else RemoteAudio(url, name)
            if existing:
                raise Unusable(f"its audio '{PurePosixPath(path).name}' is in {len(existing)} folders")
        members = [self._within_archive(place, where) for place in places] + [self._member_of(path, archives)]
        return next((audio for audio in members if audio), None) or self._missing(
            (places + by_name)[0], where, archives
        )

    def _missing(self, place: Path, where: str, archives: Sequence[Path]) -> Audio:
        """The Audio of a recording that is nowhere. A file may appear there later, so its place is confined as well."""
        self._confine(place, where)
        name = self.name(place)
        for parent in place.parents:
            if os.path.isfile(parent):
                return MissingAudio(name, _within(parent))
            if parent == self.root:
                break
        if archives and not os.path.lexists(place):
            return MissingAudio(
                name, f"there is no such file, and no such member in {first_few(map(self.name, archives))}"
            )
        return FileAudio(str(place), name)

    def _member_of(self, path: str, archives: Sequence[Path]) -> Audio | None:
        """The member of the archives with this path, or the only one whose path ends like it or is the end of it."""
        target = str(_normal(PurePosixPath(path)))
        for archive in archives:
            members = self._members(archive)
            if target in members:
                return members[target]
            namesakes = self._namesakes(archive).get(target.rpartition("/")[2], [])
            matches = [name for name in namesakes if name.endswith("/" + target) or target.endswith("/" + name)]
            if len(matches) == 1:
                return members[matches[0]]
        return None

    def _place(self, base: Path, path: str) -> Path | None:
        """The absolute path that a path from `base` spells, links not followed; None where it is outside the folder."""
        place = Path(os.path.abspath(base / path))
        inside = place.is_relative_to(self.root) and not _DRIVE.match(path)
        return place if inside or self._allow_outside else None

    def _confine(self, path: Path, where: str) -> None:
        """Raise InputError for a path that links lead out of the folder, unless that is allowed."""
        if self._allow_outside:
            return
        real = Path(os.path.realpath(path))
        if not any(real.is_relative_to(home) for home in self._homes):
            raise InputError(where, f"'{self.name(path)}' is a link that leads outside the folder", _ALLOW)

    def _within_archive(self, place: Path, where: str) -> Audio | None:
        """The member that a path through an archive (`clips.zip/a.wav`) leads to."""
        for archive in place.parents:
            if archive.name.endswith(ARCHIVES) and os.path.isfile(archive):
                self._confine(archive, where)
                return self._members(archive).get(place.relative_to(archive).as_posix())
            if archive == self.root:
                break
        return None

    def _members(self, archive: Path) -> Mapping[str, Audio]:
        if archive not in self._archives:
            self._archives[archive] = _members(archive, self.name(archive), self._allow_outside)
        return self._archives[archive]

    def _namesakes(self, archive: Path) -> Mapping[str, list[str]]:
        """The paths of an archive's members by their last part: a look-up instead of a search per row."""
        if archive not in self._endings:
            endings: dict[str, list[str]] = {}
            for name in self._members(archive):
                endings.setdefault(name.rpartition("/")[2], []).append(name)
            self._endings[archive] = endings
        return self._endings[archive]


def _listing(root: Path) -> Iterator[str]:
    """The paths, from the root, of all files down to _DEEPEST folders; hidden ones (a downloader's .cache) left out."""
    for folder, subfolders, names in os.walk(root):
        inside = PurePosixPath(os.path.relpath(folder, root))
        deep = len(inside.parts) >= _DEEPEST
        subfolders[:] = [] if deep else [name for name in subfolders if not name.startswith(".")]
        yield from ((inside / name).as_posix() for name in names if not name.startswith("."))


def _within(file: Path) -> str:
    """Why no recording can lie below a file."""
    if file.name.endswith(ARCHIVES):
        return "its archive has no such member"
    if file.name.endswith(_OTHER_ARCHIVES):
        return f"{file.name} is no zip, tar or tar.gz archive, which alone are read: unpack it"
    return f"{file.name} is a file, neither a folder nor an archive"


def _pattern(glob: str) -> str:
    """A pattern of `Folder.files` as a regular expression."""
    return re.escape(glob).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")


def _homes(root: Path) -> tuple[Path, ...]:
    """Where files of a corpus may really lie: its folder, and the blobs that a Hugging Face cache links to."""
    real = Path(os.path.realpath(root))
    homes = [place.parent.parent / "blobs" for place in (real, *real.parents) if place.parent.name == "snapshots"]
    return (real, *(blobs for blobs in homes[:1] if blobs.is_dir()))


def _members(archive: Path, name: str, allow_outside: bool) -> dict[str, Audio]:
    """The regular files of an archive by their paths in it. Nothing is ever unpacked."""
    try:
        audio_of_member = _zip_members(archive, name) if zipfile.is_zipfile(archive) else _tar_members(archive, name)
    except (*DAMAGE_ERRORS, tarfile.TarError) as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(name, f"is not a whole zip, tar or tar.gz archive ({reason})", "download it again") from None
    members: dict[str, Audio] = {}
    for member, audio in audio_of_member.items():
        path = PurePosixPath(member.replace("\\", "/"))
        if not allow_outside and (path.is_absolute() or ".." in path.parts):
            raise InputError(name, f"its member '{member}' leads outside the archive", _ALLOW)
        members[str(_normal(path))] = audio
    return members


def _zip_members(archive: Path, name: str) -> dict[str, Audio]:
    with zipfile.ZipFile(archive) as file:
        return {
            info.filename: ZipAudio(str(archive), info.filename, f"{name}/{info.filename}")
            for info in file.infolist()
            if not info.is_dir()
        }


def _tar_members(archive: Path, name: str) -> dict[str, Audio]:
    members: dict[str, Audio] = {}
    gzipped = is_gzip(str(archive))
    with gzip.open(archive) if gzipped else archive.open("rb") as unpacked:
        headers: Any = _Headers(unpacked)
        with tarfile.open(fileobj=headers, mode="r:") as tar:
            for number, info in enumerate(tar, start=1):
                if number > _MOST_MEMBERS:
                    raise InputError(name, f"has more than {_MOST_MEMBERS:,} members", "unpack it, and remove it")
                tar.members = []  # type: ignore[attr-defined] # it would keep all of them
                if info.isreg() and not info.issparse():
                    members[info.name] = TarAudio(str(archive), info.offset_data, info.size, f"{name}/{info.name}")
    return members


class _Headers(io.BufferedIOBase):
    """An unpacked tar file of which only headers are read, and none of them is large."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file = file

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _MOST_HEADER_BYTES:
            raise tarfile.ReadError("it has a header that is too large")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _normal(path: PurePosixPath) -> PurePosixPath:
    """A path without `.` and without a leading slash, as archives are searched for it."""
    return PurePosixPath(*(part for part in path.parts if part not in (".", "/")))
