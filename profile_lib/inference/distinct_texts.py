"""Find the distinct texts among rows of token ids."""

import numpy as np


class DistinctTexts:
    """The distinct texts among rows of token ids (n, T), numbered from 0.

    `keys` holds each row's ids as bytes, (n,). `first_row` is the first row of each text,
    `text_of_row` the text of each row, (n,), and `rows_of_text` the rows of each text.
    """

    def __init__(self, token_ids: np.ndarray) -> None:
        as_bytes = np.dtype((np.void, token_ids.dtype.itemsize * token_ids.shape[1]))
        self.keys = np.ascontiguousarray(token_ids).view(as_bytes).ravel()
        _, self.first_row, self.text_of_row = np.unique(
            self.keys, return_index=True, return_inverse=True
        )
        order = np.argsort(self.text_of_row, kind="stable")
        self.rows_of_text = np.split(order, np.cumsum(np.bincount(self.text_of_row))[:-1])

    def __len__(self) -> int:
        return len(self.first_row)
