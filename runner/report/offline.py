"""Makes a page that others wrote stay on the reader's machine.

dbt's and Elementary's pages ask for fonts, scripts and usage counters on the network. A content
security policy lets a page use only what is inside it, so it opens at once without a network and
tells no one who reads what.
"""

from __future__ import annotations

import re

POLICY = (
    "default-src 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "connect-src data: blob:; form-action 'none'; base-uri 'none'"
)
_META = f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)
_REMOTE_LINK = re.compile(r"<link\b[^>]*\bhref=[\"'](?:https?:)?//[^>]*>", re.IGNORECASE)


def self_contained(page: str) -> str:
    """Return the page with the policy in front of everything that could load something."""
    start = page.lstrip()[:15].lower()
    if start.startswith("<!doctype"):
        return _REMOTE_LINK.sub("", _HEAD.sub(lambda head: head.group() + _META, page, count=1))
    # Elementary puts its data before the document; without a doctype the page would be laid out
    # in the browser's quirks mode.
    return "<!doctype html>\n" + _META + _REMOTE_LINK.sub("", page)
