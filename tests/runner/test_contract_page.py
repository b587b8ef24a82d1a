"""docs/contract.md lists every `meta` key that the code reads or the YAML uses, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from runner.contract import KEYS
from runner.parquet import FEATURE_KEYS

# How Python, Jinja and a seed's description name a key: meta["x"], meta.get('x', …), meta_get('x'), 'x' in meta,
# meta.x, or a get on what column_meta(…) and get('meta', {}) return.
READ = (
    re.compile(r"""\bmeta(?:_get)?(?:\.get)?[\[(]\s*["'](\w+)["']"""),
    re.compile(r"""meta\([^()]*\)\.get\(\s*["'](\w+)["']"""),
    re.compile(r"""["']meta["'](?:, \{\})?\)(?: or \{\}\))?\.get\(\s*["'](\w+)["']"""),
    re.compile(r"""["'](\w+)["'] (?:not )?in (?:\w+\.)*meta\b"""),
    re.compile(r"""(?<!<)\bmeta\.(?!get\b)([a-z]\w*)"""),
)


def listed() -> set[str]:
    """Return the keys that the page lists."""
    text = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
    keys = re.findall(r"^\| `([\w.]+)` \|", text, re.MULTILINE)
    assert len(keys) == len(set(keys)), "a key is listed twice"
    return set(keys)


def read_by_the_code(text: str) -> set[str]:
    """Return the keys of `meta` that a file's text reads or names."""
    return {key for pattern in READ for key in pattern.findall(text)}


def sources() -> Iterator[Path]:
    """Yield what may read `meta`: the runner, macros, and tests and models in SQL."""
    yield from (ROOT / "runner").rglob("*.py")
    for folder in ("runner", "macros", "models", "tests"):
        for path in (ROOT / folder).rglob("*.sql"):
            if ROOT / "tests" / "runner" not in path.parents:
                yield path


def metas(entry: object) -> Iterator[dict[str, object]]:
    """Yield each `meta` of a YAML document, however deep."""
    if isinstance(entry, dict):
        for key, value in entry.items():
            if key == "meta" and isinstance(value, dict):
                yield value
            yield from metas(value)
    elif isinstance(entry, list):
        for value in entry:
            yield from metas(value)


def test_the_page_lists_what_the_code_reads_and_nothing_else() -> None:
    code = {key for path in sources() for key in read_by_the_code(path.read_text("utf-8"))}
    page = listed()
    assert {key for key in page if "." not in key} == code | set(FEATURE_KEYS)
    assert {key.removeprefix("load.") for key in page if key.startswith("load.")} == set(KEYS)


def test_the_page_lists_what_the_yaml_says() -> None:
    used: dict[str, str] = {}
    for path in (p for folder in ("models", "seeds", "snapshots") for p in (ROOT / folder).rglob("*.yml")):
        for meta in metas(yaml.safe_load(path.read_text(encoding="utf-8"))):
            used |= {str(key): path.name for key in meta}
            load = meta.get("load")
            used |= {f"load.{key}": path.name for key in load} if isinstance(load, dict) else {}
    unlisted = {key: name for key, name in used.items() if key not in listed()}
    assert "scd" in used
    assert unlisted == {}


@pytest.mark.parametrize(
    "text",
    [
        'meta["new"]',
        "config.meta_get('new', false)",
        "node.config.meta.get('new')",
        "if 'new' in node.config.meta",
        "node.config.get('meta', {}).get('new', [])",
        "column_meta(column).get('new')",
        'meta.get("new", True)',
        "(node.get('meta') or {}).get('new')",
        "{% if found.meta.new %}",
    ],
)
def test_a_key_is_seen_however_it_is_read(text: str) -> None:
    assert read_by_the_code(text) == {"new"}
