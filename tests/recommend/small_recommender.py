"""What was learned of a shop of five items, written by hand, and lists by counting sources."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from scipy import sparse

from profile_lib.model.checkpoint import save_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.encoder_source import encoder_folder
from profile_lib.model.spec import ModelSpec
from profile_lib.model.tasks import TaskSpec
from profile_lib.recommend.candidates.item_to_item import ItemToItem
from profile_lib.recommend.candidates.popular_by_context import ContextPopularity
from profile_lib.recommend.data.artifacts import RetrievalModel
from profile_lib.recommend.serving.listing import RETRIEVAL_FOLDER, ListBuilder
from profile_lib.recommend.serving.reasons import ReasonTexts
from profile_lib.recommend.serving.recommender import Eligibility, ListRules, Recommender
from profile_lib.recommend.serving.requests import ProfileReader, QueryTexts
from tests.recommend.serving.test_recommender import catalog

RULES = ListRules(
    k=3, candidates_per_source=5, max_ranked=5, hide_interacted=True, hide_bought=True, repeatable_sources=(), relevance_weight=1.0,
    diversity_pool=5,
)  # fmt: skip
REASONS = {"together": "because you looked at {item}", "popular": "popular in {place}"}
TASK_WEIGHTS = {"interacted": 1.0, "bought": 3.0}


def near(**pairs: float) -> sparse.csr_array:
    """Pairs of items such as shoe_boot, both ways."""
    number, table = catalog().item_index, np.zeros((5, 5), np.float32)
    for pair, weight in pairs.items():
        a, b = (number[name] for name in pair.split("_"))
        table[a, b] = table[b, a] = weight
    return sparse.csr_array(table)


def small_learned() -> RetrievalModel:
    """Shoes go with boots and hats with caps; the North wants boots, others hats and caps."""
    shares = np.array([[0, 0.9, 0.1, 0, 0], [0.1, 0.2, 0.3, 0.4, 0]], np.float32)
    trust = np.ones(2, np.float32)
    sources = {
        "together": ItemToItem(near(shoe_boot=0.5, hat_cap=0.8, boot_cap=0.1), decay=0.5),
        "popular": ContextPopularity(sparse.csr_array(shares), np.array([0]), trust),
    }
    texts = QueryTexts(pa.array(["shoes", "hats"]), np.eye(2, dtype=np.float32), ("search",), 1800)
    ids, weights = catalog().column("item_id"), {"view": 1.0, "purchase": 4.0}
    reader = ProfileReader(ids, weights, {"region": ["North"]}, "m-1", 2, texts)
    interest_map = np.array([[1, 0], [0, 1], [0, 0]], np.float32)
    words = ReasonTexts(REASONS, item="what you saw", place="the shop")
    return RetrievalModel(catalog(), sources, words, reader, interest_map, 0.8)


def small_listing(eligibility: Eligibility | None = None, rules: ListRules = RULES) -> ListBuilder:
    """Candidates stand in the order of their summed normalised_scores."""
    known = small_learned()

    def score(asked, pairs):
        return pairs.normalised_scores.sum(axis=1)

    made = Recommender(
        known.sources, known.catalog, score, rules, eligibility or Eligibility.all_eligible(5)
    )
    return ListBuilder(known, made)


def small_ranker(known: RetrievalModel) -> ProfileModel:
    """Its weights were drawn."""
    torch.manual_seed(1)
    spec = ModelSpec(
        tasks=tuple(TaskSpec(name=name, kind="binary") for name in TASK_WEIGHTS),
        numeric=tuple(known.feature_names), n_vector_numbers=known.n_vector_numbers, numeric_bins=2, numeric_hidden=4,
        joined_size=4, dropout=0.0, max_tokens=8, separator_id=102, bert=None,
    )  # fmt: skip
    return ProfileModel(spec).eval()


def save_small_recommender(folder: Path) -> None:
    """A whole one, with a small ranker."""
    known, learned = small_learned(), folder.with_name("learned_before")
    known.save(learned)
    encoder = encoder_folder("default")
    save_model(str(folder), small_ranker(known), encoder, {}, {}, {}, {RETRIEVAL_FOLDER: learned})
