"""Small changes to inputs: of bytes, of lines and numbers in text, of values in JSON."""

import json
import re
from collections.abc import Sequence
from random import Random
from typing import Any

_NUMBER = re.compile(rb"\d+(?:\.\d+)?")
_NUMBERS = [
    b"0", b"-1", b"1", b"7", b"59", b"60", b"99", b"0.5", b"1e308", b"1e999", b"NaN", b"Infinity", b"-0",
    b"4294967296", b"9223372036854775808", b"9" * 400, b"9" * 5000, b"1_0", "٣".encode(),
]  # fmt: skip
# What means something to one of the parsers.
_TOKENS = [
    b"\n", b"\r", b"\r\n\r\n", b"\t", b" ", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe2\x80\xa8",
    b"\xed\xa0\x80", b"-->", b"00:00:01.000 --> 00:00:02.000", b"00:00:01,000 --> 00:00:02,000",
    b"WEBVTT", b"NOTE ", b"Kind: ",
    b"<v Anna>", b"<", b">", b"</", b"&", b"&#", b"&lt;", b"&#x110000;", b"{\\an8}", b"SPEAKER a 1 0 1 <NA> ",
    b'"', b",", b":", b"[", b"]", b"{", b"}", b"null", b"true", b"\\ud800", b"\\u0000", b'""', b"[" * 3000,
    b"_____", b"-", b"..", b"/", b"%00", b"%2e%2e", b"bytes=0-", b";", b"=",
]  # fmt: skip
_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 3, 2**63, 10**400, 0.5, -0.5, 1e308, float("nan"), float("inf"),
    "", " ", "a", "1", "\0", "\ud800", "../../a", "a" * 3000, [], [[]], [1], ["a"], {},
    {"": {}}, {"a": [None]},
]  # fmt: skip


def changed(data: bytes, others: Sequence[bytes], random: Random, *, values_only: bool = False) -> bytes:
    """An input with one to four small changes.

    Args:
        data: the input.
        others: further inputs of the same parser, of which pieces are taken.
        random: draws the changes.
        values_only: it is JSON and stays so.
    """
    for _ in range(random.choice((1, 1, 2, 4))):
        told = _changed_json(data, random) if values_only or random.random() < 0.5 else None
        if told is not None:
            data = told
        elif not values_only:
            data = _changed_bytes(data, others, random)
    return data[: 2**17]


def _changed_bytes(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    end = min(len(data), at + random.choice((1, 2, 4, 16, 64)))
    numbers = list(_NUMBER.finditer(data)) if len(data) < 10_000 else []
    way = random.randrange(8)
    if way == 0 and data:  # a bit
        at = min(at, len(data) - 1)
        return data[:at] + bytes([data[at] ^ (1 << random.randrange(8))]) + data[at + 1 :]
    if way == 1:
        return data[:at] + data[end:]
    if way == 2:
        return data[:end] + data[at:end] * random.choice((1, 2, 50)) + data[end:]
    if way == 3:
        return data[:at]
    if way == 4 and others:
        other = random.choice(others)
        start = random.randrange(len(other) + 1)
        return data[:at] + other[start : start + random.choice((4, 64, 1000))] + data[end:]
    if way == 5 and numbers:
        number = random.choice(numbers)
        return data[: number.start()] + random.choice(_NUMBERS) + data[number.end() :]
    if way == 6 and data.count(b"\n") > 1:
        lines = data.split(b"\n")
        first, second = random.randrange(len(lines)), random.randrange(len(lines))
        lines[first], lines[second] = lines[second], lines[first]
        return b"\n".join(lines)
    return data[:at] + random.choice(_TOKENS) + data[random.choice((at, end)) :]


def _changed_json(data: bytes, random: Random) -> bytes | None:
    """With one value of a JSON text, or of a line of JSON lines, changed; None where it is no JSON."""
    lines = [data] if data.count(b"\n") != data.count(b"}\n") else data.splitlines(keepends=True) or [data]
    number = random.randrange(len(lines))
    try:
        value = json.loads(lines[number])
    except (ValueError, RecursionError):
        return None
    places = _places(value)
    if not places:
        return json.dumps(random.choice(_VALUES)).encode()
    holder, key = random.choice(places)
    way = random.randrange(4)
    if way == 0:
        del holder[key]
    elif way == 1 and isinstance(holder, list):
        holder.insert(key, holder[key])
    elif way == 1:
        holder[random.choice(("", "x", "start", "text"))] = holder.pop(key)
    elif way == 2:
        holder[key] = random.choice(([holder[key]], {"a": holder[key]}, str(holder[key])))
    else:
        holder[key] = random.choice(_VALUES)
    end = b"\n" if lines[number].endswith(b"\n") else b""
    lines[number] = json.dumps(value).encode() + end
    return b"".join(lines)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place of a value within another: the list or object, and the index or name."""
    found, left = [], [value]
    while left:
        holder = left.pop()
        if isinstance(holder, dict | list):
            inner = list(holder.items() if isinstance(holder, dict) else enumerate(holder))
            found += [(holder, key) for key, _ in inner]
            left += [one for _, one in inner]
    return found
