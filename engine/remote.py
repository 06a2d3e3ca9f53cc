"""What is read from URLs: copied whole into a temporary folder that lasts as long as the process, then read as files.

Speaks to object stores through pyarrow.fs, and through fsspec where that knows none. Writes to no URL, knows no format.
One copy is made of each object: what a URL holds does not change under a reader's eyes.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

from earmark.engine.errors import InputError, choose
from earmark.engine.extras import needs_extra
from earmark.engine.faults import writing
from earmark.engine.progress import Report, silent
from earmark.engine.urls import SCHEMES, note_copies, url_in, url_of_copy, with_urls

MOST_COPIED_BYTES = 1 << 36  # by one process
MOST_LISTED = 1_000_000  # objects below one URL
_THREADS = 8  # an object store answers slowly, and many at once
_CONNECT_S, _ANSWER_S, _TRIES = 10, 60, 3
_PIECE_BYTES = 1 << 22
_PACKAGES = {"hf": "huggingface_hub", "http": "aiohttp", "https": "aiohttp"}  # beside fsspec
_CHECK = "check its name"
_COPY_IT = "copy it here with a tool of its own, and name the copy"
_WHY = (  # what libraries say in many words, what it means, and what helps
    (("NO_SUCH_BUCKET", "bucket does not exist"), "there is no such bucket", _CHECK),
    (("NETWORK_CONNECTION", "Could not connect", "Cannot connect", "Connection refused", "ConnectError",
      "resolve host", "not resolve"),
     "its host does not answer", "check the network, and the endpoint if you set one (AWS_ENDPOINT_URL)"),
    (("timed out", "Timeout", "TIMEOUT", "Deadline", "DEADLINE"), "its host takes too long", "try again later"),
    (("OAuth2", "credentials", "Credentials"), "there are no credentials for it", "log in with its own tool"),
    (("ACCESS_DENIED", "HTTP status 403", "HTTP status 401", "status=40", "401 Client", "403 Client", "Gated",
      "INVALID_ACCESS_KEY", "SIGNATURE_DOES_NOT_MATCH"),
     "these credentials, or none, may not read it", "log in with its own tool, or set AWS_PROFILE or HF_TOKEN"),
)  # fmt: skip

_copied: dict[str, int] = {}  # bytes by the copy's path
_left: dict[str, str] = {}  # URLs of objects that were listed and not wanted, by where their copies would be


def everything(_: str) -> bool:
    """Every object below a URL is wanted."""
    return True


def local(path: Path, wanted: Callable[[str], bool] = everything, report: Report = silent) -> Path:
    """The path itself, or where the copy is of the object, or of the folder of objects, that it is the URL of.

    Of a folder those are copied whose name from there is `wanted`. InputError for a URL that cannot be read, or that
    holds nothing.
    """
    url = url_in(path)
    place = path if url is None else _fetched(url, wanted, report)
    if place is None:
        raise InputError(path, "there is no such object, and none below it", _CHECK)
    return place


def beside(folder: Path, way: str, wanted: Callable[[str], bool] = everything, report: Report = silent) -> Path:
    """Where a way from a folder leads, as a certificate says it: to a URL, to what is beside a copied object, or here.

    Nothing is at the path that is returned where nothing is at the URL.
    """
    url = url_in(way) or url_of_copy(folder / way)
    place = None if url is None else _fetched(url, wanted, report)
    return folder / way if place is None else place


def _fetched(url: str, wanted: Callable[[str], bool], report: Report) -> Path | None:
    """Where the copy of a URL is; None where nothing is there."""
    scheme, _, rest = url.partition("://")
    if scheme == "file":
        return Path("/" + rest)
    files, inside = _opened(url)
    with _reaching(url):
        about = files.get_file_info(inside)
        kind = about.type.name
        if kind == "NotFound" and scheme == "s3" and files.get_file_info(inside.partition("/")[0]).type.name == kind:
            raise InputError(url, "there is no such bucket", _CHECK)
    if kind == "NotFound":
        return None
    place = Path(_folder(), scheme, *_parts(url, rest.partition("?")[0]))
    if kind == "File":
        _copy(files, {place: (inside, about.size or 0)}, url, report)
        return place
    objects = {}
    for name, (key, size) in _listed(files, inside, url).items():
        target = place.joinpath(*_parts(url, name))
        if wanted(name):
            objects[target] = (key, size)
        else:
            _left[str(target)] = f"{scheme}://{key.removeprefix('/')}"
    _copy(files, objects, url, report)
    place.mkdir(parents=True, exist_ok=True)  # where nothing of it is wanted
    return place


def url_left(path: str | Path) -> str | None:
    """The URL of an object that was listed and not copied, by where its copy would be; None for anything else."""
    return _left.get(str(path))


def read_object(url: str, most_bytes: int) -> bytes:
    """The bytes of one object; InputError where it cannot be read, or has more."""
    files, inside = _opened(url)
    with _reaching(url), files.open_input_stream(inside) as stream:
        data: bytes = stream.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise InputError(url, f"has more than {most_bytes:,} bytes", "leave it out")
    return data


# Inside ----------------------------------------------------------------------------------------------------


@cache
def _folder() -> str:
    """The folder of all copies, which is removed when the process ends."""
    folder = os.path.realpath(tempfile.mkdtemp(prefix="earmark-copies-"))
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # and no child of it
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    note_copies(folder)
    return folder


def _opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and what it calls the place."""
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        raise InputError(url, f"'{scheme}' is no kind of URL that is read", choose(scheme, SCHEMES))
    if "@" in rest.partition("/")[0]:
        raise InputError(url, "holds credentials, which others could see", "give them as its own tools take them")
    with _reaching(url):
        return _system(scheme), url if scheme in ("http", "https") else rest.rstrip("/")


@cache
def _system(scheme: str) -> Any:
    from pyarrow import fs

    if scheme == "s3":
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        protocol, _, host = (endpoint or "").rpartition("://")
        return fs.S3FileSystem(
            endpoint_override=host or None,
            scheme=protocol or "https",
            connect_timeout=_CONNECT_S,
            request_timeout=_ANSWER_S,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
        )
    if scheme in ("gs", "gcs"):
        return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=_CONNECT_S))
    with needs_extra(f"reading {scheme}://", "remote"):
        fsspec = import_module("fsspec")
        if scheme in _PACKAGES:
            import_module(_PACKAGES[scheme])
    return fs.PyFileSystem(fs.FSSpecHandler(fsspec.filesystem(scheme)))


def _listed(files: Any, folder: str, url: str) -> dict[str, tuple[str, int]]:
    """The objects below a place, by their names from there: what the file system calls each, and its bytes."""
    from pyarrow import fs

    with _reaching(url):
        listing = files.get_file_info(fs.FileSelector(folder, recursive=True))
    objects = [entry for entry in listing if entry.type == fs.FileType.File]
    if len(objects) > MOST_LISTED:
        raise InputError(url, f"holds {len(objects):,} objects, more than {MOST_LISTED:,}", "name a folder in it")
    start = len(folder.strip("/")) + 1
    return {
        entry.path.lstrip("/")[start:]: (entry.path, entry.size or 0)
        for entry in sorted(objects, key=lambda entry: str(entry.path))
    }


def _parts(url: str, name: str) -> tuple[str, ...]:
    """The parts of an object's name, each the name of a file here; InputError for one that leads elsewhere."""
    parts = name.rstrip("/").split("/")
    if any(part in ("", ".", "..") or "\0" in part or os.sep in part for part in parts):
        raise InputError(f"{url}: '{name}'", "is the name of no file", _COPY_IT)
    return PurePosixPath(*parts).parts


def _copy(files: Any, objects: dict[Path, tuple[str, int]], url: str, report: Report) -> None:
    """Copy those objects that have not been copied yet; InputError where all copies would have too many bytes."""
    new = {target: source for target, source in objects.items() if str(target) not in _copied}
    n_bytes = sum(size for _, size in new.values())
    if n_bytes + sum(_copied.values()) > MOST_COPIED_BYTES:
        what = f"has {n_bytes:,} bytes to copy, and {MOST_COPIED_BYTES:,} are copied at most"
        raise InputError(url, what, _COPY_IT)

    def copy(target: Path) -> int:
        key, size = new[target]
        with writing(_folder()):
            target.parent.mkdir(parents=True, exist_ok=True)
        with _reaching(with_urls(target)), files.open_input_stream(key) as source, target.open("wb") as file:
            copied = 0
            while piece := source.read(_PIECE_BYTES):
                copied += len(piece)
                if copied > max(size, MOST_COPIED_BYTES - sum(_copied.values())):  # it grew, or nobody knew its size
                    raise InputError(url, f"has more than {MOST_COPIED_BYTES:,} bytes", _COPY_IT)
                with writing(_folder()):
                    file.write(piece)
        return copied

    done = 0
    report(f"copying {with_urls(url)} (bytes)", 0, n_bytes)
    with ThreadPoolExecutor(_THREADS) as pool:
        try:
            for target, size in zip(new, pool.map(copy, new), strict=True):
                _copied[str(target)] = size
                done += size
                report(f"copying {with_urls(url)} (bytes)", min(done, n_bytes), n_bytes)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    """While this context is open whatever a library of others raises is a refusal of one line that names the URL."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except FileNotFoundError:
        raise InputError(url, "there is no such object", _CHECK) from None
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        for words, what, do in _WHY:
            if any(word in text for word in words):
                raise InputError(url, what, do) from None
        raise InputError(url, f"cannot be read ({text[:200]})", _COPY_IT) from None
