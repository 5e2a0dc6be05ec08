"""CRC-32C of many byte strings that differ in a few places, by table lookup.

A CRC is linear: that of a message equals that of the message with some bytes zeroed,
XOR the change due to each of these bytes, which depends only on the number of bytes
after it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from google_crc32c import value as crc32c
from numpy.typing import NDArray


@lru_cache(maxsize=64)  # 16 MiB
def changes(follow: int) -> NDArray[np.uint32]:
    """Return the changes to a checksum due to two bytes with `follow` bytes after them.

    Shape ``(65536,)``, indexed by the two bytes as a little-endian number. If `follow`
    is -1, there is only one byte, the last of all, and the shape is ``(256,)``.
    """
    length = 2 + follow
    zero = crc32c(bytes(length))
    table = np.zeros(1 << 8 * min(2, length), np.uint32)
    for bit in range(8 * min(2, length)):
        message = bytearray(length)
        message[bit // 8] = 1 << bit % 8
        change = np.uint32(crc32c(bytes(message)) ^ zero)
        table[1 << bit : 2 << bit] = table[: 1 << bit] ^ change
    return table
