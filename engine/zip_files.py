"""Zip archives of others: an entry is unpacked a piece at a time, and never beyond a size.

Knows nothing of what is in them.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator

DAMAGE_ERRORS = (  # what reading a damaged archive raises; ValueError: text that is not UTF-8, zstd that is none
    OSError, EOFError, LookupError, RuntimeError, ValueError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
_ZSTD = 93  # Python's zipfile learns it in 3.14
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, _ZSTD)  # others unpack to any size at once
_PIECE_BYTES = 1 << 20


def unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most_bytes: int) -> bytes:
    """The bytes of an entry; raises one of DAMAGE_ERRORS where it is damaged, encrypted, too large or packed oddly."""
    if info.flag_bits & 1:
        raise zipfile.BadZipFile("it is encrypted")
    if info.compress_type not in _METHODS:
        raise zipfile.BadZipFile(f"it is packed by method {info.compress_type}, neither deflate nor zstd")
    data = bytearray()
    for piece in _zstd_pieces(archive, info) if info.compress_type == _ZSTD else _pieces(archive, info):
        data += piece
        if len(data) > most_bytes:
            raise zipfile.BadZipFile(f"it unpacks to more than {most_bytes:,} bytes")
    return bytes(data)


def _pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(info) as file:
        yield from iter(lambda: file.read(_PIECE_BYTES), b"")


def _zstd_pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    import pyarrow as pa

    assert archive.fp is not None
    archive.fp.seek(info.header_offset)
    # The header of an entry: 26 bytes, the lengths of its name and of its extra field, then both.
    name_length, extra_length = struct.unpack("<26x2H", archive.fp.read(30))
    archive.fp.seek(name_length + extra_length, 1)
    packed = archive.fp.read(info.compress_size)
    checksum = 0
    with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
        while piece := stream.read(_PIECE_BYTES):
            checksum = zlib.crc32(piece, checksum)
            yield piece
    if checksum != info.CRC:
        raise zipfile.BadZipFile("bad checksum")
