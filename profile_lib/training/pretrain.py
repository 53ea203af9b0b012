"""What one rank does to pretrain an encoder on a shop's own texts."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, PreTrainedTokenizerBase
from transformers.utils import logging

from profile_lib.errors import InputError
from profile_lib.files import explain_full_disk
from profile_lib.fingerprint import hash_file
from profile_lib.training.data.petastorm_loader import PetastormLoader
from profile_lib.training.distributed.process_group import ProcessGroup
from profile_lib.training.distributed.rank_job import (
    INITIAL_MODEL,
    DistributedJob,
    TrainingResult,
    ignore_progress,
    limit_torch_threads,
    select_device,
)
from profile_lib.training.loop import ReportProgress, TrainingLoop
from profile_lib.training.objectives.self_supervised import (
    Masking,
    SelfSupervisedObjective,
    masked_word_loss_sum,
)

ENCODER = "encoder"  # in a job's folder, the pretrained one
VALIDATION_SEED = (0,)  # the same words are asked for every time


@dataclass(frozen=True)
class PretrainJob(DistributedJob):
    """Fit the encoder that lies in the job's folder to masked words and views."""

    mask_share: float = 0.15

    def run(self, process_group: ProcessGroup, report_progress: ReportProgress) -> TrainingResult:
        """Fit with the other ranks; rank 0 writes the encoder.

        The first of the epochs told is the perplexity before the first step. Raises InputError as
        a FitJob does.
        """
        start = f"{self.folder}/{INITIAL_MODEL}"
        tokenizer = AutoTokenizer.from_pretrained(start)
        model = load_masked_language_model(start)
        device, plan = select_device(process_group), self.plan
        masking = Masking(
            self.mask_share, int(tokenizer.mask_token_id), tuple(tokenizer.all_special_ids),
            len(tokenizer),
        )  # fmt: skip
        max_tokens = self.snapshot.max_tokens
        augmenter = self.make_augmenter(start, model, max_tokens) if self.weights[1] > 0 else None
        loaders = {
            split: self.make_loader(split, process_group, int(tokenizer.pad_token_id))
            for split in ("train", "validation")
        }
        objective = SelfSupervisedObjective(self.weights, plan, masking, augmenter)

        def validate(with_text: bool) -> dict[str, Any]:
            return compute_perplexity(
                loop.model, loaders["validation"], masking, plan.batch_size, process_group
            )

        with limit_torch_threads(self.threads):
            report_from_first_process = (
                report_progress if process_group.rank == 0 else ignore_progress
            )
            checkpoints = self.open_checkpoints(hash_file(Path(start) / "model.safetensors"))
            loop = TrainingLoop(
                model,
                objective,
                plan,
                process_group,
                device,
                report_from_first_process,
                checkpoints,
            )
            before = {"epoch": 0, "validation": validate(True)}
            report_from_first_process(before)
            epochs = loop.fit(loaders["train"], validate, self.resume)
        if process_group.rank == 0:
            folder = Path(self.folder) / ENCODER
            with explain_full_disk(str(folder)):
                loop.model.cpu().save_pretrained(folder)
                tokenizer.save_pretrained(folder)
        return TrainingResult(loop.curve, [before, *epochs], {})


def compute_perplexity(
    model: BertForMaskedLM,
    loader: PetastormLoader,
    masking: Masking,
    size: int,
    process_group: ProcessGroup,
) -> dict[str, float]:
    """`loss`, the mean cross-entropy of the masked words in nats; `perplexity`, its exponent."""
    model.eval()
    total = torch.zeros(2, dtype=torch.float64)
    for batch in loader.batches(size, (0,), with_text=True):
        masked = masking.mask(batch, VALIDATION_SEED)
        given = {n: torch.from_numpy(v).to(model.device) for n, v in masked.items()}
        with torch.inference_mode():
            total[0] += float(masked_word_loss_sum(model, given))
        total[1] += int((masked["targets"] >= 0).sum())
    loss, n_words = process_group.sum(total).tolist()
    mean = loss / max(n_words, 1)
    return {"loss": mean, "perplexity": math.exp(min(mean, 700.0))}


def load_masked_language_model(folder: str) -> BertForMaskedLM:
    """An encoder with the head that names masked words, drawn at random where there is none."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(0)
    return BertForMaskedLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)


def create_encoder(tokenizer: PreTrainedTokenizerBase, shape: dict[str, Any], seed: int) -> Any:
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
