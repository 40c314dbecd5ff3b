"""An upload's bytes on their way: in files without names, so that whoever is killed leaves nothing. Knows no format."""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

from service.errors import StoreUnavailable


class Spool:
    """The body of one upload in `folder`, hashed as it arrives; gone when it is closed, or with its process."""

    def __init__(self, folder: Path) -> None:
        """Raises: StoreUnavailable."""
        self._folder = folder
        self.file = self.beside()
        self._digest = hashlib.sha256()

    def write(self, piece: bytes) -> None:
        """Append to the body.

        Raises: StoreUnavailable when there is no room.
        """
        try:
            self.file.write(piece)
            self.file.flush()
        except OSError as error:
            raise _not_kept(error) from error
        self._digest.update(piece)

    @property
    def sha256(self) -> str:
        """Of all that was written."""
        return self._digest.hexdigest()

    def beside(self) -> BinaryIO:
        """One more file of this kind, for what is made of the body; the caller closes it.

        Raises: StoreUnavailable.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cast(BinaryIO, tempfile.TemporaryFile(dir=self._folder))
        except OSError as error:
            raise _not_kept(error) from error

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # of what a full disk did not take
            self.file.close()


def _not_kept(error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"the upload cannot be kept: {error}")
