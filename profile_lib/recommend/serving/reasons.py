"""Write a sentence with the reason for each listed item."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

ITEM, PLACE = "{item}", "{place}"


@dataclass(frozen=True)
class ReasonTexts:
    """The sentence of each source, by the source's name.

    In a sentence, ITEM stands for the item of the user's history that explains the candidate, and
    PLACE for the user's context. If these are unknown, `item` and `place` are written instead.
    """

    reasons: Mapping[str, str]
    item: str
    place: str

    def fill_sentences(self, source: pa.Array, item: pa.Array, place: pa.Array) -> pa.Array:
        """Return the sentences of m listed items, null for a source without one.

        `source`, `item` (titles) and `place` are (m,); titles and places are null if unknown.
        """
        items, places = item.fill_null(self.item), place.fill_null(self.place)
        empty = pa.array([""] * len(source), pa.string())
        sentences = pa.nulls(len(source), pa.string())
        for name, text in self.reasons.items():
            parts = re.split(f"({re.escape(ITEM)}|{re.escape(PLACE)})", text)
            filled = [items if p == ITEM else places if p == PLACE else p for p in parts]
            sentence = pc.binary_join_element_wise(empty, *filled, "")
            sentences = pc.if_else(pc.equal(source, name), sentence, sentences)
        return sentences
