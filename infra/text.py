"""Manifests as YAML that every reader takes the same way."""

import re
from typing import Any

import yaml

# YAML 1.1 and 1.2 disagree about what is a number, a boolean or a date (`1e3`, `0o17`, `on`, `12:30`), and
# the files go to readers of both: text is left without quotation marks only where none takes it for another.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan"}


class _Dumper(yaml.CSafeDumper):
    """Everything written out where it stands: `kubectl` knows no anchors that a person would want to read."""

    def ignore_aliases(self, data: object) -> bool:
        """Never an alias."""
        return True


def _text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    style = "|" if "\n" in text else None if plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def to_yaml(*documents: Any) -> str:
    """The documents as YAML, keys in the order they have."""
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=4096)
