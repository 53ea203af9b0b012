"""Which source spoke for an item, and for what, in; a sentence a listed item out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

ITEM, PLACE = "{item}", "{place}"


@dataclass(frozen=True)
class ReasonTexts:
    """Of each source by its name the sentence for its items, in which ITEM is the one of the user's
    history that spoke for it and PLACE where the user is; `item` and `place` stand there where
    neither is known."""

    reasons: Mapping[str, str]
    item: str
    place: str

    def fill_sentences(self, source: pa.Array, item: pa.Array, place: pa.Array) -> pa.Array:
        """(m,): of sources by their names, items by their titles and places, null where unknown."""
        items, places = item.fill_null(self.item), place.fill_null(self.place)
        told, empty = pa.nulls(len(source), pa.string()), pa.array([""] * len(source), pa.string())
        for name, sentence in self.reasons.items():
            parts = re.split(f"({re.escape(ITEM)}|{re.escape(PLACE)})", sentence)
            filled = [items if p == ITEM else places if p == PLACE else p for p in parts]
            whole = pc.binary_join_element_wise(empty, *filled, "")
            told = pc.if_else(pc.equal(source, name), whole, told)
        return told
