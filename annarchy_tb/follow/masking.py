"""Masking: addresses as they may be written anywhere, without their secrets."""

from __future__ import annotations

import re

_PASSWORD = re.compile(r"(://[^/@:\s]*):[^@/\s]*@")
_SECRET = re.compile(
    r"([?&;][^=&;]*(?:key|pass|pwd|secret|sig|token)[^=&;]*=)[^&;]*", re.IGNORECASE
)


def masked(text: str) -> str:
    """Return a text without the passwords and tokens of addresses in it."""
    return _SECRET.sub(r"\1***", _PASSWORD.sub(r"\1:***@", text))
