"""What values look like: a hint for whoever declares what a column means, never a rule.

Each rule is about one value; its share is taken over the distinct values that were looked at, empty texts
left out. A column is given a hint when at least 95 % of them follow a rule, in the order of :data:`RULES`;
else by its shape as a whole:

* ``categorical``: at most 1,000 distinct values, each occurring five times or more on average;
* ``free_text``: at least half of the values have four or more words;
* ``identifier``: 100 values or more, at least 95 % of them distinct.

Shares of numbers below one half are left out: many a measurement is 0, 1 or 1999 by chance.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.statistics.frequencies import SAMPLED_BYTES, Numbers
from components.statistics.statistics import Hint

Flags = npt.NDArray[np.bool_]

CLEAR = 0.95
_HALF = 0.5
_MOST_CATEGORIES = 1000
_EACH_CATEGORY = 5
_FEWEST_IDENTIFIERS = 100

_MONTH_DAY = r"(0?[1-9]|[12]\d|3[01])"
_DAY = rf"(\d{{4}}[-/](0?[1-9]|1[0-2])[-/]{_MONTH_DAY}|{_MONTH_DAY}[./-]{_MONTH_DAY}[./-]\d{{4}})"
_HOUR = r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d([.,]\d{1,9})?)?( ?[AaPp][Mm])?"
_ADDRESS = r"^(\d{1,3}\.){3}\d{1,3}$|^[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*$"
_IMAGE_NAME = r"(?i)^\S.*\.(jpe?g|png|gif|webp|bmp|tiff?|svg|heic)$"
_PHONE = r"^(\+\d[\d ()./-]{6,18}\d|\(?\d{2,5}\)?[ /-][\d ()/-]{4,15}\d)$"

PATTERNS = {
    "uuid": r"(?i)^\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?$",
    "digest": r"(?i)^([0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$",
    "email": r"^[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}$",
    "image_name": _IMAGE_NAME,
    "url": r"^[A-Za-z][A-Za-z0-9+.-]*://[^\s/]+\S*$",
    "datetime": rf"^{_DAY}[T ]+{_HOUR} ?(Z|UTC|[+-]\d{{2}}:?\d{{2}})?$",
    "date": rf"^{_DAY}$",
    "time": rf"^{_HOUR}$",
    "number": r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$",
    "boolean": r"(?i)^(true|false|yes|no|t|f|y|n)$",
    "phone": _PHONE,
    "path": r"^(~|\.{1,2})?/\S+$|^[A-Za-z]:\\",
}
RULES = (
    *("uuid", "digest", "email", "image_name", "url", "ip", "datetime", "date", "time", "json"),
    *("number", "boolean", "phone", "path", "country_code"),
)

# ISO 3166-1 alpha-2: the codes that are assigned to countries, one after the other.
_CODES = (
    "ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCLCMCN"
    "COCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHKHM"
    "HNHRHTHUIDIEILIMINIOIQIRISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMK"
    "MLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONPNRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRURW"
    "SASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZUAUGUMUSUYUZVAVCVEVGVI"
    "VNVUWFWSYEYTZAZMZW"
)
COUNTRIES = frozenset(_CODES[place : place + 2] for place in range(0, len(_CODES), 2))

_MAGIC = {
    "jpeg": r"^\xff\xd8\xff",
    "png": r"^\x89PNG\r\n\x1a\n",
    "gif": r"^GIF8[79]a",
    "webp": r"^RIFF....WEBP",
    "bmp": r"^BM....\x00\x00\x00\x00",
    "tiff": r"^(II\*\x00|MM\x00\*)",
}


@dataclass(frozen=True)
class Shape:
    """A column as a whole: how many values are present, and how many of them differ."""

    present: int
    distinct: int
    distinct_exact: bool = True

    def hint(self) -> str | None:
        """Return ``categorical``, ``identifier`` or None."""
        few = self.distinct_exact and 0 < self.distinct <= _MOST_CATEGORIES
        if few and self.present >= _EACH_CATEGORY * self.distinct:
            return "categorical"
        if self.present >= _FEWEST_IDENTIFIERS and self.distinct >= CLEAR * self.present:
            return "identifier"
        return None


@dataclass(frozen=True)
class Hinted:
    """The hints of a column and how many distinct values they rest on."""

    hint: str | None
    hints: tuple[Hint, ...]
    values: int


def hints_of_texts(values: pa.Array, shape: Shape) -> Hinted:
    """Return the hints of distinct texts."""
    values = values.filter(pc.greater(pc.binary_length(values), 0))
    found = _flags_of_texts(values)
    shares = _shares(found, len(values))
    clear = next((name for name in RULES if shares.get(name, 0) >= CLEAR), None)
    whole = shape.hint()
    if whole != "categorical" and shares.get("free_text", 0) >= _HALF:
        whole = "free_text"
    return Hinted(clear or whole, _sorted(shares), len(values))


def _flags_of_texts(values: pa.Array) -> dict[str, Flags]:
    found = {name: _matches(values, pattern) for name, pattern in PATTERNS.items()}
    found["ip"] = _checked(values, _ADDRESS, _is_ip)
    found["json"] = _checked(values, r"^\s*[\[{]", _is_json)
    found["country_code"] = np.asarray(pc.is_in(values, pa.array(sorted(COUNTRIES), values.type)))
    found["free_text"] = _matches(values, r"[^\s\d]\S*(\s+\S+){3,}")
    found["phone"] &= ~(found["date"] | found["datetime"] | found["ip"])
    found["image_name"] &= ~found["free_text"]
    return found


def _matches(values: pa.Array, pattern: str) -> Flags:
    return np.asarray(pc.match_substring_regex(values, pattern), np.bool_)


def _checked(values: pa.Array, pattern: str, check: Callable[[str], bool]) -> Flags:
    found = _matches(values, pattern)
    for place in np.flatnonzero(found):
        found[place] = check(values[int(place)].as_py())
    return found


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_json(text: str) -> bool:
    if len(text) >= SAMPLED_BYTES:  # cut: its start must do
        return True
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def hints_of_bytes(values: pa.Array) -> Hinted:
    """Return the hints of distinct byte strings: the kind of picture by its first bytes, or text."""
    values = values.filter(pc.greater(pc.binary_length(values), 0))
    found = {name: _matches(values, f"(?s){magic}") for name, magic in _MAGIC.items()}
    is_image = np.logical_or.reduce(list(found.values()))
    found["utf8_text"] = ~strange_bytes(values)
    shares = _shares(found, len(values))
    hint = None
    if len(values) and is_image.mean() >= CLEAR:
        hint = "image"
    elif shares.get("utf8_text", 0) >= CLEAR:
        hint = "utf8_text"
    return Hinted(hint, _sorted(shares), len(values))


def strange_bytes(values: pa.Array) -> Flags:
    """Return which byte strings are no UTF-8 text."""
    try:
        values.cast(pa.large_string() if pa.types.is_large_binary(values.type) else pa.string())
    except pa.ArrowInvalid:
        return np.array([_is_strange(value) for value in values.to_pylist()], np.bool_)
    return np.zeros(len(values), np.bool_)


def _is_strange(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return True
    return False


def hints_of_numbers(values: Numbers, shape: Shape) -> Hinted:
    """Return the hints of distinct finite numbers."""
    numbers = values.astype(np.float64)
    whole = numbers == np.floor(numbers)
    day, month = numbers % 100, numbers // 100 % 100
    found = {
        "boolean": (numbers == 0) | (numbers == 1),
        "date_number": whole
        & (numbers >= 19_000_101)
        & (numbers <= 21_001_231)
        & ((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)),
        "year": whole & (numbers >= 1900) & (numbers <= 2100),
        "epoch_seconds": whole & (numbers >= _EPOCH_1990) & (numbers < _EPOCH_2100),
        "epoch_milliseconds": whole & (numbers >= 1e3 * _EPOCH_1990) & (numbers < 1e3 * _EPOCH_2100),
    }
    shares = {name: share for name, share in _shares(found, len(numbers)).items() if share >= _HALF}
    hint = next((name for name in found if shares.get(name, 0) >= CLEAR), None)
    if hint is None and whole.all():  # measured values differ anyway: that makes no identifier
        hint = shape.hint()
    return Hinted(hint, _sorted(shares), len(numbers))


_EPOCH_1990, _EPOCH_2100 = 631_152_000, 4_102_444_800


def _shares(found: dict[str, Flags], values: int) -> dict[str, float]:
    return {name: int(flags.sum()) / values for name, flags in found.items() if flags.any()}


def _sorted(shares: dict[str, float]) -> tuple[Hint, ...]:
    return tuple(
        Hint(name, share) for name, share in sorted(shares.items(), key=lambda one: (-one[1], one[0]))
    )
