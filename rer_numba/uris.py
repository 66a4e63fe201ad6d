"""The uri of a package, cut so that all packages of a location share the pieces."""

from __future__ import annotations


def split_uri(uri: str, name: str, version: str) -> tuple[str, str | None]:
    """Cut name and version out of a uri.

    Returns
    -------
    (head, tail) : str, str or None
        The uri is head, separator, name, separator, version, tail; the separator is the first character of `tail`.
        Without a version, `tail` follows the name. ``(uri, None)`` when it is something else.
    """
    for separator in ("/", "\\"):
        middle = separator.join(("", name, version) if version else ("", name))
        head, found, tail = uri.rpartition(middle)
        if found and tail.startswith(separator):
            return head, tail
    return uri, None


def join_uri(head: str, tail: str | None, name: str, version: str) -> str:
    """Put together again what `split_uri` cut."""
    if tail is None:
        return head
    return tail[0].join((head, name, version) if version else (head, name)) + tail
