"""Write a recommender of a shop of five items by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from scipy import sparse

from profile_lib.model.checkpoint import save_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.encoder_source import encoder_folder
from profile_lib.model.spec import ModelSpec
from profile_lib.model.tasks import TaskSpec
from profile_lib.recommend.candidates.demand import Demand
from profile_lib.recommend.candidates.item_neighbours import ItemNeighbours
from profile_lib.recommend.data.catalog import Catalog
from profile_lib.recommend.data.profile_reader import ProfileReader, QueryTexts
from profile_lib.recommend.retrieval_model import RetrievalModel
from profile_lib.recommend.serving.listing import RETRIEVAL_FOLDER, ListBuilder
from profile_lib.recommend.serving.reasons import ReasonTexts
from profile_lib.recommend.serving.recommender import Eligibility, ListRules, Recommender

SHOE, BOOT, HAT, CAP, GLOVE = range(5)
ITEM_IDS = ["shoe", "boot", "hat", "cap", "glove"]
RULES = ListRules(
    k=3, candidates_per_source=5, max_ranked=5, hide_interacted=True, hide_bought=True,
    repeatable_sources=(), relevance_weight=1.0, diversity_pool=5,
)  # fmt: skip
REASONS = {"together": "because you looked at {item}", "popular": "popular in {place}"}
TASK_WEIGHTS = {"interacted": 1.0, "bought": 3.0}


def small_catalog() -> Catalog:
    """Make a catalog in which little is known of gloves."""
    columns: dict[str, list[Any]] = {
        "item_id": ITEM_IDS,
        "title": ["Red shoe", "Boot", "Hat", "Cap", None],
        "category": ["feet", "feet", "head", "head", None],
        "brand": ["x", "y", "x", None, None],
        "price": [10.0, 20.0, 5.0, 4.0, None],
        "price_level": [0.0, 0.5, 0.5, 0.0, None],
        "demand": [5.0, 4.0, 3.0, 2.0, 0.0],
        "vector": [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]],
    }
    return Catalog(pa.table(columns))


def similarity_matrix(**pairs: float) -> sparse.csr_array:
    """Make a symmetric matrix from pairs of items such as shoe_boot."""
    matrix = np.zeros((5, 5), np.float32)
    for pair, weight in pairs.items():
        first, second = (ITEM_IDS.index(name) for name in pair.split("_"))
        matrix[first, second] = matrix[second, first] = weight
    return sparse.csr_array(matrix)


def small_retrieval() -> RetrievalModel:
    """Make a model in which shoes go with boots and hats with caps.

    The North likes boots, others hats and caps.
    """
    shares = np.array([[0, 0.9, 0.1, 0, 0], [0.1, 0.2, 0.3, 0.4, 0]], np.float32)
    similarity = similarity_matrix(shoe_boot=0.5, hat_cap=0.8, boot_cap=0.1)
    sources = {
        "together": ItemNeighbours(similarity, decay=0.5),
        "popular": Demand(sparse.csr_array(shares), np.array([0]), np.ones(2, np.float32)),
    }
    texts = QueryTexts(pa.array(["shoes", "hats"]), np.eye(2, dtype=np.float32), ("search",), 1800)
    ids, weights = small_catalog().column("item_id"), {"view": 1.0, "purchase": 4.0}
    reader = ProfileReader(ids, weights, {"region": ["North"]}, "m-1", 2, texts)
    interest_map = np.array([[1, 0], [0, 1], [0, 0]], np.float32)
    reasons = ReasonTexts(REASONS, item="what you saw", place="the shop")
    return RetrievalModel(small_catalog(), sources, reasons, reader, interest_map, 0.8)


def small_listing(eligibility: Eligibility | None = None, rules: ListRules = RULES) -> ListBuilder:
    """Rank candidates by the sum of their normalised scores."""
    retrieval = small_retrieval()

    def score(requests, pairs):
        return pairs.normalised_scores.sum(axis=1)

    eligible = eligibility or Eligibility.all_eligible(5)
    recommender = Recommender(retrieval.sources, retrieval.catalog, score, rules, eligible)
    return ListBuilder(retrieval, recommender)


def small_ranker(retrieval: RetrievalModel) -> ProfileModel:
    """Make a ranker with random weights."""
    torch.manual_seed(1)
    spec = ModelSpec(
        tasks=tuple(TaskSpec(name=name, kind="binary") for name in TASK_WEIGHTS),
        numeric=tuple(retrieval.feature_names), n_vector_numbers=retrieval.n_vector_numbers,
        numeric_bins=2, numeric_hidden=4, joined_size=4, dropout=0.0, max_tokens=8,
        separator_id=102, bert=None,
    )  # fmt: skip
    return ProfileModel(spec).eval()


def save_small_recommender(folder: Path) -> None:
    """Save a complete recommender, with a small ranker."""
    retrieval, retrieval_folder = small_retrieval(), folder.with_name("retrieval_to_copy")
    retrieval.save(retrieval_folder)
    ranker, encoder = small_ranker(retrieval), encoder_folder("default")
    folders = {RETRIEVAL_FOLDER: retrieval_folder}
    save_model(str(folder), ranker, encoder, {}, {}, {}, folders)
