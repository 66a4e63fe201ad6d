"""Follows every index of tables the way a solve does, slowly, and fails where one leads outside.

`rer_numba.checks` promises that a kernel may use what it accepts without looking. This is that kernel, with looking.
"""

from __future__ import annotations

from typing import Any

from rer_numba.schema import BUILDING, CONFLICT, NONE, Tables, words_for


def walk(tables: Tables) -> None:
    """Raise `IndexError` where something that a solve reads is not there."""
    _Walk(tables, "").walk()
    if len(tables.building_variant_requirement_offsets):
        _Walk(tables, BUILDING).walk()


class _Walk:
    """One set of requirements and the facts beside it."""

    def __init__(self, tables: Tables, prefix: str) -> None:
        self.tables = tables
        self.prefix = prefix
        self.columns: dict[str, list[int]] = {}

    def at(self, name: str, index: int) -> int:
        """One value. Negative indices are outside, as they are in compiled code."""
        column = self._column(name)
        if not 0 <= index < len(column):
            raise IndexError(f"{name}[{index}] of {len(column)}")
        return column[index]

    def _column(self, name: str) -> list[int]:
        if name not in self.columns:
            building = self.prefix + name
            array: Any = getattr(self.tables, building if building in Tables._fields else name)
            self.columns[name] = array.tolist()
        return self.columns[name]

    def span(self, name: str, row: int) -> range:
        """The places of the values of a row."""
        return range(self.at(name, row), self.at(name, row + 1))

    def walk(self) -> None:
        for family in range(len(self._column("family_text"))):
            self._text("family_text", family)
            self.at("family_by_name", self.at("family_rank", family))
            self._error("family_error", family)
            for package in self.span("family_package_offsets", family):
                self._package(family, package)
            self._mentions(family)
        for requirement in range(len(self._column("requirement_family"))):
            self._requirement(requirement)

    def _text(self, name: str, row: int) -> None:
        text = self.at(name, row)
        if text == NONE and name in ("package_uri_text", "package_uri_tail_text"):
            return
        for place in self.span("text_offsets", text):
            self.at("text_bytes", place)

    def _package(self, family: int, package: int) -> None:
        self._text("version_text", self.at("package_version_rank", package))
        self._text("package_version_text", package)
        self._text("package_uri_text", package)
        self._text("package_uri_tail_text", package)
        self._error("package_timestamp_error", package)
        self._error("package_error", package)
        variants = self.span("package_variant_offsets", package)
        if not len(variants) or not (self.at("package_indexed", package) or len(variants) == 1):
            raise IndexError(f"package {package} has {len(variants)} variants")
        for variant in variants:
            if variant not in self.span("family_variant_offsets", family):
                raise IndexError(f"variant {variant} of family {family}")
            self._variant(variant)

    def _error(self, name: str, row: int) -> None:
        error = self.at(name, row)
        if error != NONE:
            self._text("error_type_text", error)
            self._text("error_value_text", error)

    def _variant(self, variant: int) -> None:
        self._error("variant_error", variant)
        self.at("package_given_rank", self.at("variant_package", variant))
        for place in self.span("variant_requirement_offsets", variant):
            self.at("requirement_family", self.at("variant_requirement", place))
        for place in self.span("variant_extraction_offsets", variant):
            requirement = self.at("variant_extraction", place)
            if self.at("requirement_flags", requirement) & CONFLICT:
                raise IndexError(f"extraction {place} is a conflict")
            self._range(self.at("requirement_range", requirement))

    def _requirement(self, requirement: int) -> None:
        self._text("requirement_text", requirement)
        family = self.at("requirement_family", requirement)
        if self.at("requirement_range", requirement) != NONE:
            self._range(self.at("requirement_range", requirement))
            self._kept_mask("requirement", requirement, family)

    def _range(self, row: int) -> None:
        places = self.span("range_offsets", row)
        if len(places) < 2:
            raise IndexError(f"range {row} has no interval")
        for place in places[::2]:
            if self.at("range_cut", place) >= self.at("range_cut", place + 1):
                raise IndexError(f"range {row} has an empty interval")

    def _mask(self, name: str, start: int, family: int) -> None:
        """Every bit of a mask over a family is one of its variants."""
        variants = self.span("family_variant_offsets", family)
        for word in range(words_for(len(variants))):
            bits = self.at(name, start + word)
            if bits:
                self.at("variant_package", variants[64 * word + bits.bit_length() - 1])

    def _kept_mask(self, what: str, row: int, family: int) -> None:
        """The same for a mask of which only the words from the first to the last that is not empty are kept."""
        variants = self.span("family_variant_offsets", family)
        first = self.at(f"{what}_first_word", row)
        for word, place in enumerate(self.span(f"{what}_mask_offsets", row), first):
            bits = self.at(f"{what}_mask", place)
            if not 0 <= word < words_for(len(variants)):
                raise IndexError(f"{what} {row} has word {word}")
            if bits:
                self.at("variant_package", variants[64 * word + bits.bit_length() - 1])

    def _mentions(self, family: int) -> None:
        words = words_for(len(self.span("family_variant_offsets", family)))
        masks = self.at("family_mention_mask_offsets", family)
        for mention in self.span("family_mention_offsets", family):
            about = self.at("mention_family", mention)
            self._mask("mention_mask", masks, family)
            masks += words
            for link in self.span("mention_link_offsets", mention):
                requirement = self.at("link_requirement", link)
                if self.at("requirement_family", requirement) != about:
                    raise IndexError(f"link {link} is about another family")
                self._range(self.at("requirement_range", requirement))
                self._kept_mask("link", link, family)
