"""Pretrain an encoder on a shop's texts, in each process of a training."""

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
    limit_torch_threads,
    select_device,
)
from profile_lib.training.loop import ReportProgress
from profile_lib.training.objectives.self_supervised import (
    Masking,
    SelfSupervisedObjective,
    masked_word_loss_sum,
)

ENCODER_FOLDER = "encoder"  # the subfolder of a job's folder with the pretrained encoder
VALIDATION_SEED = (0,)  # the same words are masked in every validation
MAX_EXPONENT = 700.0  # exp of more than 709 overflows


@dataclass(frozen=True)
class PretrainJob(DistributedJob):
    """A job that fits the encoder in its folder to masked words and views."""

    mask_share: float = 0.15

    def run(self, process_group: ProcessGroup, report_progress: ReportProgress) -> TrainingResult:
        """Fit with the other processes; process 0 saves the encoder in the job's folder.

        Epoch 0 of the result holds the perplexity before the first step. Raises InputError in the
        same cases as FitJob.
        """
        initial_model = f"{self.folder}/{INITIAL_MODEL}"
        tokenizer = AutoTokenizer.from_pretrained(initial_model)
        model = load_masked_language_model(initial_model)
        device, plan = select_device(process_group), self.plan
        masking = Masking(
            self.mask_share,
            int(tokenizer.mask_token_id),
            tuple(tokenizer.all_special_ids),
            len(tokenizer),
        )
        augmenter = None
        if self.weights[1] > 0:
            augmenter = self.make_augmenter(initial_model, model, self.snapshot.max_tokens)
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
            version = hash_file(Path(initial_model) / "model.safetensors")
            loop = self.make_loop(model, objective, process_group, device, report_progress, version)
            before = {"epoch": 0, "validation": validate(True)}
            loop.report_progress(before)
            epochs = loop.fit(loaders["train"], validate, self.resume)
        if process_group.rank == 0:
            folder = Path(self.folder) / ENCODER_FOLDER
            with explain_full_disk(str(folder)):
                loop.model.cpu().save_pretrained(folder)
                tokenizer.save_pretrained(folder)
        return TrainingResult(loop.curve, [before, *epochs], {})


def compute_perplexity(
    model: BertForMaskedLM,
    loader: PetastormLoader,
    masking: Masking,
    batch_size: int,
    process_group: ProcessGroup,
) -> dict[str, float]:
    """Measure how well a model predicts masked words: `loss` and `perplexity`.

    The loss is the mean cross-entropy in nats over the words of all processes, and the perplexity
    its exponential.
    """
    model.eval()
    total = torch.zeros(2, dtype=torch.float64)
    for batch in loader.batches(batch_size, (0,), with_text=True):
        masked = masking.mask(batch, VALIDATION_SEED)
        tensors = {n: torch.from_numpy(v).to(model.device) for n, v in masked.items()}
        with torch.inference_mode():
            total[0] += float(masked_word_loss_sum(model, tensors))
        total[1] += int((masked["targets"] >= 0).sum())
    loss, n_words = process_group.sum(total).tolist()
    mean = loss / max(n_words, 1)
    return {"loss": mean, "perplexity": math.exp(min(mean, MAX_EXPONENT))}


def load_masked_language_model(folder: str) -> BertForMaskedLM:
    """Load an encoder with its head for masked words, from safetensors.

    A head that the folder lacks gets random weights, the same every time.
    """
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(0)
    return BertForMaskedLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)


def create_encoder(tokenizer: PreTrainedTokenizerBase, shape: dict[str, Any], seed: int) -> Any:
    """Create an encoder with random weights from `seed` for the tokenizer's vocabulary.

    `shape` holds fields of BertConfig. Raises InputError if the hidden size is no multiple of the
    number of heads.
    """
    if shape["hidden_size"] % shape["num_attention_heads"]:
        raise InputError(
            f"pretrain.hidden_size: {shape['hidden_size']} is no multiple of "
            f"pretrain.num_attention_heads, {shape['num_attention_heads']}; change one of them"
        )
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer),
        pad_token_id=int(tokenizer.pad_token_id or 0),
        intermediate_size=4 * shape["hidden_size"],
        **shape,
    )
    return BertForMaskedLM(config)
