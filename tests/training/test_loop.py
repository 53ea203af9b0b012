"""The loop alone, fed from memory: no Spark, no Petastorm, no Horovod."""

import numpy as np
import pytest
import torch
from transformers import BertConfig

from profile_lib.errors import InputError
from profile_lib.model.encoder import ModelSpec, ProfileModel, TaskSpec
from profile_lib.training.batches import Batch
from profile_lib.training.loop import Loop
from profile_lib.training.plan import Plan, Stage, freeze, parameter_groups
from profile_lib.training.ranks import Alone

BERT = BertConfig(
    vocab_size=10, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
    intermediate_size=16, max_position_embeddings=8,
)  # fmt: skip
SPEC = ModelSpec(
    tasks=(TaskSpec(name="buys", kind="binary", classes=()),), numeric=("n",), numeric_bins=2,
    numeric_hidden=4, joined_size=4, dropout=0.0, max_tokens=8, separator_id=3,
    bert=BERT.to_dict(),
)  # fmt: skip
PLAN = Plan(
    seed=1, epochs=1, numeric_epochs=2, batch_size=4, numeric_batch_size=4, encoder_lr=1e-3,
    head_lr=1e-2, numbers_lr=0.0, weight_decay=0.0, warmup_share=0.1, max_grad_norm=1.0,
    frozen_layers=1, negatives_kept=1.0, progress_steps=2, task_weights=(1.0,),
)  # fmt: skip


class Memory:
    """Eight rows in two batches; the number says who buys."""

    folder, rows, rows_read = "memory", 8, 8

    def __init__(self, numeric: float = 1.0):
        self.numeric = numeric

    def expected_rows(self, kept: float) -> int:
        return self.rows

    def batches(self, size, seed, *, with_text, kept=1.0):
        for _ in range(2):
            labels = np.array([[0], [1], [0], [1]])
            yield Batch(
                token_ids=np.full((4, 3), 5) if with_text else None,
                n_tokens=np.full(4, 3),
                numeric=(labels * self.numeric).astype(np.float32),
                labels=labels,
                weight=np.ones(4, np.float32),
            )


def looped(source, losses, plan=PLAN):
    torch.manual_seed(0)
    told, left = [], iter(losses)
    loop = Loop(ProfileModel(SPEC), plan, Alone(), torch.device("cpu"), told.append)
    states = []

    def validate(with_text: bool) -> dict[str, float]:
        states.append({k: v.clone() for k, v in loop.model.state_dict().items()})
        return {"loss": next(left)}

    return loop, loop.fit(source, validate), told, states


def same(one, other) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_each_stage_ends_at_its_best_epoch():
    plan = Plan(**{**PLAN.__dict__, "epochs": 3})
    loop, epochs, _, states = looped(Memory(), [0.5, 0.7, 0.9, 0.2, 0.3], plan)
    assert [(e["stage"], e["epoch"]) for e in epochs] == [
        ("numbers", 1), ("numbers", 2), ("text", 1), ("text", 2), ("text", 3)
    ]  # fmt: skip
    assert same(loop.model.state_dict(), states[3])
    assert not same(loop.model.state_dict(), states[4])


def test_the_loss_falls_and_progress_is_told():
    loop, _, told, _ = looped(Memory(), [0.5, 0.4, 0.3])
    assert len(loop.curve) == 6
    assert loop.curve[3] < loop.curve[0]
    steps = [entry for entry in told if "step" in entry]
    assert [(e["stage"], e["step"], e["steps"]) for e in steps] == [
        ("numbers", 2, 4), ("numbers", 4, 4), ("text", 2, 2)
    ]  # fmt: skip
    assert steps[0]["loss"] == round(loop.curve[1], 4)


def test_frozen_parts_stay_and_the_others_move():
    torch.manual_seed(0)
    before = ProfileModel(SPEC).state_dict()
    _, _, _, states = looped(Memory(), [0.5, 0.4, 0.3])
    moved = {name for name in before if not torch.equal(before[name], states[2][name])}
    assert not any(n.startswith(("bert.embeddings", "bert.encoder.layer.0")) for n in moved)
    assert any(n.startswith("bert.encoder.layer.1") for n in moved)
    numbers = [n for n in before if n.startswith("numbers.")]
    assert all(torch.equal(states[1][n], states[2][n]) for n in numbers)  # numbers_lr is 0


def test_a_loss_that_is_not_a_number_names_its_step():
    with pytest.raises(InputError, match="the loss is nan at numbers, epoch 1, step 1;"):
        looped(Broken(), [])


class Broken(Memory):
    def batches(self, size, seed, *, with_text, kept=1.0):
        for batch in super().batches(size, seed, with_text=with_text):
            yield batch._replace(weight=np.full(4, np.nan, np.float32))


def test_rows_that_went_missing_are_told():
    source = Memory()
    source.rows = 9
    with pytest.raises(InputError, match="memory: 8 rows read of 9 written"):
        looped(source, [])


def test_encoder_and_heads_have_rates_of_their_own():
    model = ProfileModel(SPEC)
    freeze(model, 0)
    groups = parameter_groups(model, PLAN, Stage("text", True, 1, 4, 1.0))
    assert [group["lr"] for group in groups] == [1e-3, 1e-2]
    assert {id(p) for p in groups[0]["params"]} == {id(p) for p in model.bert.parameters()}
