"""Encode distinct texts once, and sum their hidden states by event.

Texts of similar length share a forward pass, trimmed to the longest of them.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from profile_lib.arrays.length_packs import pack_by_length
from profile_lib.inference.distinct_texts import DistinctTexts
from profile_lib.inference.runtime import Runtime


class EncodingStats(NamedTuple):
    """The amount of text that an encoder has encoded."""

    texts: int
    tokens: int
    padding: int  # padded positions that were computed in addition to the tokens


class EventEncoder:
    """An encoder of texts whose last hidden states are summed by event.

    A pass holds at most `batch_tokens` padded tokens. Events after the first `max_events` count as
    the last of them. The last text of each batch is remembered: if rows are sorted by text, equal
    texts that fall into two batches are still encoded once.
    """

    def __init__(
        self, runtime: Runtime, separator_id: int, batch_tokens: int, max_events: int
    ) -> None:
        self.runtime, self.separator_id = runtime, separator_id
        self.batch_tokens, self.max_events = batch_tokens, max_events
        self.stats = EncodingStats(0, 0, 0)
        self._last: tuple[bytes, torch.Tensor] | None = None  # a text and its event sums

    def encode(
        self, token_ids: np.ndarray, n_tokens: np.ndarray, texts: DistinctTexts
    ) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Yield packs of the distinct `texts` of rows, each with its event sums.

        `token_ids` is (n, T), `n_tokens` (n,). A pack holds text numbers, (p,). Its event sums,
        (p, E + 1, H) with E = `max_events`, are what each event adds to the mean of the text's last
        hidden states; the last of the E + 1 is the share of the tokens that belong to no event.
        """
        todo, last = np.arange(len(texts)), texts.keys[-1:].tobytes()
        if self._last is not None and texts.keys[:1].tobytes() == self._last[0]:
            yield texts.text_of_row[:1], self._last[1]
            todo = todo[todo != texts.text_of_row[0]]
        for indices in pack_by_length(n_tokens[texts.first_row[todo]], self.batch_tokens):
            pack = todo[indices]
            lengths = n_tokens[texts.first_row[pack]]
            ids = token_ids[texts.first_row[pack], : lengths.max()]
            event_sums = self._encode_pack(ids, lengths)
            if len(last_in_pack := np.flatnonzero(pack == texts.text_of_row[-1])):
                self._last = last, event_sums[last_in_pack].clone()
            yield pack, event_sums

    def _encode_pack(self, ids: np.ndarray, lengths: np.ndarray) -> torch.Tensor:
        """Return the event sums of padded texts (p, T)."""
        hidden, n_tokens = self.runtime.encode(ids, lengths), int(lengths.sum())
        added = (len(ids), n_tokens, ids.size - n_tokens)
        self.stats = EncodingStats(*np.add(self.stats, added).tolist())
        device = self.runtime.device
        tokens = torch.from_numpy(ids.astype(np.int64)).to(device)
        n = torch.from_numpy(lengths.astype(np.int64)).to(device)
        with torch.inference_mode():
            ends = (tokens == self.separator_id).long()
            # A separator ends its event. Tokens before the first event have index -1: the last.
            event = (ends.cumsum(1) - ends - 1).clamp(max=self.max_events - 1)
            is_token = torch.arange(tokens.shape[1], device=device) < n[:, None]
            shares = hidden * (is_token / n[:, None]).unsqueeze(-1)
            sums = shares.new_zeros(len(ids), self.max_events + 1, hidden.shape[-1])
            row = torch.arange(len(ids), device=device)[:, None].expand_as(event)
            return sums.index_put_((row, event), shares, accumulate=True)
