"""Project the text vectors of an encoder to a few principal components."""

from dataclasses import dataclass

import numpy as np

from profile_lib.arrays.types import Floats
from profile_lib.errors import InputError
from profile_lib.recommend.data.vectors import normalise_rows


@dataclass(frozen=True)
class TextProjection:
    """A projection of encoder vectors to the d principal components of a shop's item vectors.

    `mean`: (H,), of the item vectors. It is subtracted because all items share it, and it makes up
    most of an encoder's vector (Mu & Viswanath 2018). `axes`: (H, d), the principal components with
    the greatest variance.
    """

    mean: Floats
    axes: Floats

    @classmethod
    def fit(cls, vectors: Floats, size: int) -> "TextProjection":
        """Fit `size` axes to the items' vectors, (n, H).

        Rows that are not finite are left out. Raises InputError if no row is left.
        """
        known = vectors[np.isfinite(vectors).all(axis=1)].astype(np.float64)
        if not len(known):
            raise InputError(
                "items: none has a text with a vector, so similar items cannot be found by text; "
                "ingest a catalog with titles"
            )
        mean = known.mean(axis=0)
        _, axes = np.linalg.eigh((known - mean).T @ (known - mean))
        axes = axes[:, ::-1][:, :size]
        # An axis and its opposite are equally good: take the one whose largest part is positive.
        axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
        return cls(mean.astype(np.float32), axes.astype(np.float32))

    def project(self, vectors: Floats) -> Floats:
        """Project vectors, (n, H), to (n, d), of length 1.

        Rows that are not finite become NaN.
        """
        return normalise_rows((vectors - self.mean) @ self.axes)
