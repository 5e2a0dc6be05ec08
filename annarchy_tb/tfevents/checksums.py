"""CRC-32C of many byte strings that differ in a few places, by lookup.

A CRC is linear: that of a message is that of the message with some bytes zero, XOR what
each of these bytes changes about it, which depends only on how many bytes follow it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from google_crc32c import value as crc32c
from numpy.typing import NDArray


@lru_cache(maxsize=64)  # 16 MiB
def changes(follow: int) -> NDArray[np.uint32]:
    """Return by what two bytes change a checksum if `follow` bytes stand behind them.

    Shape ``(65536,)``, by the two bytes as a little-endian number. With `follow` -1 it
    is one byte, the last: the upper one lies outside.
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
