"""Store: files at an address, through fsspec: s3, sftp, a local path and others."""

from __future__ import annotations

import contextlib
import os
import posixpath
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from annarchy_tb.follow.masking import masked
from annarchy_tb.inputs.optional import optional
from annarchy_tb.run.paths import absolute
from annarchy_tb.tfevents.descriptors import opened
from annarchy_tb.tfevents.names import harmless

GROWING = ("file", "sftp", "ssh")  # protocols of file systems whose files can grow
INSTALL = "'annarchy-tb[mirror]'"
PATIENCE = 30.0  # seconds for an answer of an SSH server
CHUNK = 8 << 20  # bytes that are read or written at a time


class Found(NamedTuple):
    """A file in a store: its size, and when it changed, in seconds since 1970.

    The time is None if the store does not tell it.
    """

    size: int
    changed: float | None


class Store:
    """The files below an address such as ``s3://bucket/runs``.

    Names are paths below the address. They are taken as they are, with spaces, ``%``,
    ``#``, ``?`` and ``*``. Credentials are those that the client of each kind of store
    finds in its own environment and files.

    Parameters
    ----------
    url : str
        The address; a path is one on this machine.
    caller : str
        Who needs it, for errors.

    Attributes
    ----------
    shown : str
        The address without a password.
    failed : bool
        Whether an error was raised, so that another connection may be better.
    grows : bool
        Whether files can grow in place. If not, they are objects, which are replaced as
        a whole; a reader sees the old one or the new one.

    Raises
    ------
    ImportError
        If a package is missing; the error says which.
    ValueError
        If there is no such kind of store.
    OSError
        If it can't be reached. So do all methods.
    """

    shown: str
    failed: bool
    grows: bool
    _url: str
    _is_here: bool  # on this machine
    _fs: Any
    _root: str
    _made: set[str]  # directories that exist
    _users: int

    def __init__(self, url: str, caller: str) -> None:
        check(url, caller)
        self.shown, self._url = masked(url), url
        self._users, self.failed = 1, False
        protocol, rest = _split(url)
        self.grows, self._is_here = protocol in GROWING, protocol == "file"
        self._made = set()
        options: dict[str, Any] = {"skip_instance_cache": True}
        root = ""
        if protocol == "file":
            address, root = "file:///", rest
        elif self.grows:  # fsspec would take a part of the path for a query
            authority, slash, root = rest.partition("/")
            address, root = f"{protocol}://{authority}/", slash + root
            waits = ("timeout", "banner_timeout", "auth_timeout")
            options |= dict.fromkeys(waits, PATIENCE)
        else:
            address = url
            options["use_listings_cache"] = False
        fsspec = optional("fsspec", caller, INSTALL)
        with self._reaching():
            self._fs, found = fsspec.core.url_to_fs(address, **options)
        self._root = (root or found).rstrip("/")
        channel = getattr(getattr(self._fs, "ftp", None), "get_channel", None)
        if channel is not None:
            channel().settimeout(PATIENCE)

    @classmethod
    def shared(cls, url: str, caller: str) -> Store:
        """Return a store for all that use this address, until each has closed it."""
        found = _shared.get(url)
        if found is None or found.failed:
            found = _shared[url] = cls(url, caller)
        else:
            found._users += 1
        return found

    @property
    def name(self) -> str:
        """The last part of the address, as a file name."""
        last = self._root.rpartition("/")[2]
        return "root" if last in ("", ".", "..") else last

    def at(self, name: str) -> str:
        """Return the full path of a file."""
        return f"{self._root}/{name}" if name else self._root

    def files(self, below: str = "") -> dict[str, Found]:
        """Return all files below a directory by their names, without links."""
        found: dict[str, Found] = {}
        inside = f"{below}/" if below else ""
        with self._reaching():
            for info in self._listed(self.at(below)):
                name = str(info["name"]).removeprefix(f"{self._root}/")
                its = name.startswith(inside) and info["type"] == "file"
                if its and not info.get("islink"):
                    found[name] = Found(int(info["size"] or 0), _changed(info))
        return found

    def _listed(self, path: str) -> Iterator[dict[str, Any]]:
        self._fs.invalidate_cache()
        if not self.grows:
            with contextlib.suppress(FileNotFoundError):
                yield from self._fs.find(path, detail=True).values()
            return
        waiting = [path]  # find() would leave out what it can't read
        while waiting:
            directory = waiting.pop()
            try:
                inside = self._fs.ls(directory, detail=True)
            except FileNotFoundError:
                continue
            for info in inside:
                if info["type"] != "directory":
                    yield info
                elif not info.get("islink"):
                    waiting.append(str(info["name"]))

    def read(self, name: str) -> bytes:
        """Return the contents of a file."""
        with self._reaching():
            return bytes(self._fs.cat_file(self.at(name)))

    def copy(self, name: str, begin: int, end: int, into: BinaryIO) -> None:
        """Write bytes of a file to a stream.

        Raises
        ------
        FileNotFoundError
            If the file is gone, or has become shorter.
        """
        with self._reaching():
            if begin == 0 and end <= CHUNK:  # one request
                pieces = iter([self._fs.cat_file(self.at(name))[:end]])
            else:
                pieces = self._pieces(name, begin, end)
            for data in pieces:
                into.write(data)
                begin += len(data)
        if begin < end:
            raise FileNotFoundError(f"{self.shown}: {name} has become shorter")

    def _pieces(self, name: str, begin: int, end: int) -> Iterator[bytes]:
        if not self.grows:
            for start in range(begin, end, CHUNK):
                stop = min(end, start + CHUNK)
                yield bytes(self._fs.cat_file(self.at(name), start=start, end=stop))
            return
        with self._fs.open(self.at(name), "rb") as stream:
            if hasattr(stream, "prefetch"):  # SFTP: ask ahead of the answers
                stream.prefetch()
            stream.seek(begin)
            while begin < end and (data := stream.read(min(CHUNK, end - begin))):
                begin += len(data)
                yield data

    def write(self, name: str, data: bytes, at: int = 0) -> None:
        """Write a file, or what it has from a place on.

        Only a file that `grows` is written from a place beyond 0 on; what is in front
        of it stays. Doing it again changes nothing.
        """
        path = self.at(name)
        with self._reaching():
            if not self.grows:
                self._fs.pipe_file(path, data)
                return
            self._make_parent(name)
            if at:
                self._check_size(name, self._fs.info(path)["size"], at)
            with self._fs.open(path, "r+b" if at else "wb") as stream:
                if hasattr(stream, "set_pipelined"):  # SFTP: do not await each answer
                    stream.set_pipelined(True)
                stream.seek(at)
                for start in range(0, len(data), CHUNK):
                    stream.write(data[start : start + CHUNK])
            self._check_size(name, self._fs.info(path)["size"], at + len(data))

    def _check_size(self, name: str, size: int, least: int) -> None:
        """Raise an error if a file is shorter than it must be."""
        if size < least:
            raise OSError(f"{name} has {size} bytes there, not {least}")

    def extend(self, name: str, at: int, path: Path, begin: int, end: int) -> None:
        """Write bytes of a file of this machine, as `write`.

        Raises
        ------
        EOFError
            If that file is shorter.
        """
        if not self._is_here:
            with path.open("rb") as stream:
                stream.seek(begin)
                data = stream.read(end - begin)
            if len(data) < end - begin:
                raise EOFError
            self.write(name, data, at)
            return
        with path.open("rb") as stream, self._reaching():
            self._make_parent(name)
            flags = 0 if at else os.O_CREAT | os.O_TRUNC
            descriptor = opened(self.at(name), os.O_WRONLY | flags)
            try:
                self._check_size(name, os.fstat(descriptor).st_size, at)
                os.lseek(descriptor, at, os.SEEK_SET)
                _send(stream.fileno(), begin, end, descriptor)
            finally:
                os.close(descriptor)

    def replace(self, name: str, data: bytes) -> None:
        """Replace a file as a whole: a reader sees the old one or the new one."""
        if not self.grows:
            self.write(name, data)
            return
        with self._replacing(name) as temporary:
            self.write(temporary, data)

    def upload(self, path: Path, name: str) -> None:
        """Replace a file as a whole by one of this machine."""
        if not self.grows:
            with self._reaching():
                self._fs.put_file(str(path), self.at(name))
            return
        with self._replacing(name) as temporary:
            self._make_parent(name)
            with self._reaching():
                self._fs.put_file(str(path), self.at(temporary))

    @contextlib.contextmanager
    def _replacing(self, name: str) -> Iterator[str]:
        folder, _, last = name.rpartition("/")
        temporary = posixpath.join(folder, f".{harmless(last)}.mirror.tmp")
        yield temporary
        with self._reaching():
            self._fs.mv(self.at(temporary), self.at(name))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._reaching(), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self.at(name))

    def _make_parent(self, name: str) -> None:
        folder = posixpath.dirname(self.at(name))
        if folder not in self._made:
            self._fs.makedirs(folder, exist_ok=True)
            self._made.add(folder)

    def close(self) -> None:
        """Close the connection, if nobody else uses it."""
        self._users -= 1
        if self._users:
            return
        if _shared.get(self._url) is self:
            del _shared[self._url]
        client = getattr(self._fs, "client", None)
        if client is not None and hasattr(client, "close"):
            client.close()

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        """Raise an OSError that names the store for any error of its client."""
        try:
            yield
        except (ImportError, MemoryError, TypeError, EOFError):
            raise
        except FileNotFoundError as error:
            self.failed = True
            raise FileNotFoundError(self._said(error)) from error
        except PermissionError as error:
            self.failed = True
            raise PermissionError(self._said(error)) from error
        except OSError as error:
            self.failed = True
            number = () if error.errno is None else (error.errno,)
            raise OSError(*number, self._said(error)) from error
        except ValueError as error:
            raise ValueError(self._said(error)) from None
        except Exception as error:  # of botocore, paramiko, asyncio and others
            self.failed = True
            raise ConnectionError(self._said(error)) from error

    def _said(self, error: Exception) -> str:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        said = said.removeprefix(f"{self.shown}: ")
        return f"{self.shown}: {masked(said)}"


def check(url: str, caller: str) -> None:
    """Raise an error if an address can't be used, without a connection.

    Raises
    ------
    ImportError, ValueError
        As `Store`.
    """
    fsspec = optional("fsspec", caller, INSTALL)
    protocol, _ = _split(url)
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        package = _PACKAGES.get(protocol)
        needs = f"{package}: pip install {package}" if package else str(error)
        raise ImportError(f"{caller} to {protocol}:// needs {needs}") from None
    except ValueError as error:
        raise ValueError(f"{masked(url)}: {error}") from None


def _split(url: str) -> tuple[str, str]:
    """Return the protocol of an address, and the rest; that of a path is ``file``."""
    protocol, separator, rest = url.partition("://")
    if not separator or protocol == "file":
        return "file", str(absolute(rest if separator else url))
    return protocol, rest


_shared: dict[str, Store] = {}

# What fsspec needs for some kinds of stores.
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "sftp": "paramiko", "ssh": "paramiko"}
_PACKAGES |= {"gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}


def _send(source: int, begin: int, end: int, into: int) -> None:
    """Copy bytes from one file to another, in the kernel if it can."""
    while begin < end:
        if sys.platform == "linux":
            done = os.sendfile(into, source, begin, end - begin)
        else:
            data = os.pread(source, min(CHUNK, end - begin), begin)
            done = os.write(into, data) if data else 0
        if not done:
            raise EOFError
        begin += done


def _changed(info: dict[str, Any]) -> float | None:
    for name in ("mtime", "LastModified", "last_modified", "updated"):
        found = info.get(name)
        if isinstance(found, datetime):
            return found.timestamp()
        if isinstance(found, (int, float)):
            return float(found)
    return None
