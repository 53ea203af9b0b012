"""What one rank does to pretrain an encoder on a shop's own texts."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, PreTrainedTokenizerBase
from transformers.utils import logging

from profile_lib.errors import InputError
from profile_lib.model.about import sha256_of
from profile_lib.training.feed import Feed
from profile_lib.training.folders import told_when_full
from profile_lib.training.loop import Loop, Tell
from profile_lib.training.rank import START, Outcome, RankJob, device_of, silent, threads
from profile_lib.training.ranks import Ranks
from profile_lib.training.selfsupervised import Masking, SelfSupervised, word_loss

ENCODER = "encoder"  # in a job's folder, the pretrained one
VALIDATION_SEED = (0,)  # the same words are asked for every time


@dataclass(frozen=True)
class PretrainJob(RankJob):
    """Fit the encoder that lies in the job's folder to masked words and views."""

    mask_share: float = 0.15

    def run(self, ranks: Ranks, tell: Tell) -> Outcome:
        """Fit with the other ranks; rank 0 writes the encoder.

        The first of the epochs told is the perplexity before the first step. Raises InputError as
        a FitJob does.
        """
        start = f"{self.folder}/{START}"
        tokenizer = AutoTokenizer.from_pretrained(start)
        model = load_masked(start)
        device, plan = device_of(ranks), self.plan
        masking = Masking(
            self.mask_share, int(tokenizer.mask_token_id), tuple(tokenizer.all_special_ids),
            len(tokenizer),
        )  # fmt: skip
        max_tokens = self.snapshot.max_tokens
        augmenter = self.augmenter(start, model, max_tokens) if self.weights[1] > 0 else None
        feeds = {
            split: self.feed(split, ranks, int(tokenizer.pad_token_id))
            for split in ("train", "validation")
        }
        objective = SelfSupervised(self.weights, plan, masking, augmenter)

        def validate(with_text: bool) -> dict[str, Any]:
            return perplexity(loop.model, feeds["validation"], masking, plan.batch_size, ranks)

        with threads(self.threads):
            told_by = tell if ranks.rank == 0 else silent
            checkpoints = self.checkpoints(sha256_of(Path(start) / "model.safetensors"))
            loop = Loop(model, objective, plan, ranks, device, told_by, checkpoints)
            before = {"epoch": 0, "validation": validate(True)}
            told_by(before)
            epochs = loop.fit(feeds["train"], validate, self.resume)
        if ranks.rank == 0:
            folder = Path(self.folder) / ENCODER
            with told_when_full(str(folder)):
                loop.model.cpu().save_pretrained(folder)
                tokenizer.save_pretrained(folder)
        return Outcome(loop.curve, [before, *epochs], {})


def perplexity(
    model: BertForMaskedLM, feed: Feed, masking: Masking, size: int, ranks: Ranks
) -> dict[str, float]:
    """`loss`, the mean cross-entropy of the masked words in nats; `perplexity`, its exponent."""
    model.eval()
    total = torch.zeros(2, dtype=torch.float64)
    for batch in feed.batches(size, (0,), with_text=True):
        masked = masking.mask(batch, VALIDATION_SEED)
        given = {n: torch.from_numpy(v).to(model.device) for n, v in masked.items()}
        with torch.inference_mode():
            total[0] += float(word_loss(model, given))
        total[1] += int((masked["targets"] >= 0).sum())
    loss, n_words = ranks.sum(total).tolist()
    mean = loss / max(n_words, 1)
    return {"loss": mean, "perplexity": math.exp(min(mean, 700.0))}


def load_masked(folder: str) -> BertForMaskedLM:
    """An encoder with the head that names masked words, drawn at random where there is none."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(0)
    return BertForMaskedLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)


def new_encoder(tokenizer: PreTrainedTokenizerBase, shape: dict[str, Any], seed: int) -> Any:
    """An encoder drawn at random, with a word for each of the tokenizer's.

    Raises InputError where the hidden size is no multiple of the heads.
    """
    if shape["hidden_size"] % shape["num_attention_heads"]:
        raise InputError(
            f"pretrain.hidden_size: {shape['hidden_size']} is no multiple of "
            f"pretrain.num_attention_heads, {shape['num_attention_heads']}"
        )
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer),
        pad_token_id=int(tokenizer.pad_token_id or 0),
        intermediate_size=4 * shape["hidden_size"],
        **shape,
    )
    return BertForMaskedLM(config)
