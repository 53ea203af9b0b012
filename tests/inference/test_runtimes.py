"""An encoder in int8 says nearly what fp32 says, and serves only where it was judged good."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from profile_lib.errors import InputError
from profile_lib.inference.runtimes import bind_runtime, choose_runtime, load_runtime
from profile_lib.inference.udf import InferenceCounters, add_predictions
from profile_lib.model.checkpoint import save_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.encoder_source import encoder_folder
from profile_lib.model.int8_manifest import INT8_FOLDER, INT8_MANIFEST, Int8Manifest
from profile_lib.model.manifest import Manifest, check_model
from profile_lib.training.compression.quantization import quantize_encoder
from tests.worlds import tiny_spec

CPU = torch.device("cpu")
TEXTS = [np.array([2, *range(4, 4 + i % 5), 3], np.int64) for i in range(40)]
IDS = np.array([[2, 4, 5, 6, 7, 3], [2, 8, 3, 0, 0, 0]])
LENGTHS = np.array([6, 3])


@pytest.fixture(scope="module")
def model() -> ProfileModel:
    torch.manual_seed(4)
    made = ProfileModel(tiny_spec()).eval()
    torch.nn.init.normal_(made.heads.added.weight)
    return made


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory) -> Path:
    """The model with an int8 encoder that was accepted."""
    folder = tmp_path_factory.mktemp("int8")
    quantize_encoder(model, TEXTS, folder / INT8_FOLDER)
    save(model, folder, is_accepted=True)
    return folder / "m"


def save(model: ProfileModel, folder: Path, is_accepted: bool) -> Manifest:
    manifest = Int8Manifest(
        weights="", calibration_texts=40, quality_ratios={"buys pr_auc": 0.99 + 0.009 * is_accepted},
        min_quality_ratio=0.995, is_accepted=is_accepted,
    )  # fmt: skip
    (folder / INT8_FOLDER / INT8_MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
    tokenizer = encoder_folder("default")
    return save_model(
        str(folder / "m"), model, tokenizer, {}, {}, folders={INT8_FOLDER: folder / INT8_FOLDER}
    )


def test_int8_says_nearly_what_fp32_says_whatever_is_padded(saved, model):
    runtime = load_runtime("openvino_int8", str(saved), model, CPU, threads=1)
    found = runtime.encode(IDS, LENGTHS).numpy().copy()
    wanted = load_runtime("torch_fp32", str(saved), model, CPU, threads=1).encode(IDS, LENGTHS)
    for row, n in enumerate(LENGTHS):
        alone = runtime.encode(IDS[row : row + 1, :n], LENGTHS[row : row + 1]).numpy()[0]
        np.testing.assert_allclose(found[row, :n], alone, atol=1e-5)
        cosine = np.sum(alone * wanted[row, :n].numpy()) / (
            np.linalg.norm(alone) * np.linalg.norm(wanted[row, :n])
        )
        assert 0.995 < cosine < 1 - 1e-9


def test_a_model_run_by_a_runtime_is_measured_like_any_other(saved, model):
    runtime = load_runtime("openvino_int8", str(saved), model, CPU, threads=1)
    ids, lengths = torch.from_numpy(IDS), torch.from_numpy(LENGTHS)
    with torch.inference_mode():
        found = bind_runtime(runtime, model)(ids, lengths, torch.zeros(2, 1)).logits["buys"]
        plain = model(ids, lengths, torch.zeros(2, 1)).logits["buys"]
    assert found.tolist() == pytest.approx(plain.tolist(), abs=0.05)
    assert found.tolist() != plain.tolist()


def test_auto_is_int8_where_it_was_accepted_and_no_int8_where_it_was_not(saved, model, tmp_path):
    assert choose_runtime("auto", str(saved), CPU) == "openvino_int8"
    shutil.copytree(saved.parent / INT8_FOLDER, tmp_path / INT8_FOLDER)
    save(model, tmp_path, is_accepted=False)
    refused = str(tmp_path / "m")
    assert choose_runtime("auto", refused, CPU).startswith("torch_")
    with pytest.raises(InputError, match=r"int8 keeps .* buys pr_auc 0.9900; wanted 0.995"):
        choose_runtime("openvino_int8", refused, CPU)


def test_int8_that_was_never_made_is_told(tmp_path):
    with pytest.raises(
        InputError, match="no int8 encoder; train it with quantization.enabled true"
    ):
        choose_runtime("openvino_int8", str(tmp_path), CPU)


def test_a_changed_int8_graph_is_found(saved):
    graph = saved / INT8_FOLDER / "encoder.bin"
    content = graph.read_bytes()
    try:
        graph.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(InputError, match=r"int8/encoder.bin: sha256 .* was changed"):
            check_model(str(saved))
    finally:
        graph.write_bytes(content)


def test_bf16_is_near_fp32_or_refused_by_a_processor_without_it(saved, model):
    if not torch.cpu._is_avx512_bf16_supported():
        with pytest.raises(InputError, match="this cpu has no bf16; wanted auto or torch_fp32"):
            choose_runtime("torch_bf16", str(saved), CPU)
        return
    found = load_runtime("torch_bf16", str(saved), model, CPU, threads=1).encode(IDS, LENGTHS)
    plain = load_runtime("torch_fp32", str(saved), model, CPU, threads=1).encode(IDS, LENGTHS)
    assert found.dtype == torch.float32
    assert (found - plain).abs().max() < 0.1


def test_a_python_worker_loads_the_model_once_for_all_its_tasks(spark, saved):
    """Eight tasks on two cores: two workers at most, which a second run finds again."""
    rows = [(f"text {i % 30}", [2, 4 + i % 5, 3, 0], 3, [1.0]) for i in range(400)]
    frame = spark.createDataFrame(
        rows, "text string, token_ids array<int>, n_tokens int, numeric array<double>"
    )
    loads = []
    for _ in range(2):
        counters = InferenceCounters.create(spark.sparkContext)
        predicted = add_predictions(
            frame, str(saved), categories=[], model_version=check_model(str(saved)).model_version,
            runtime="auto", batch_tokens=64, max_events=2, n_reasons=0, counters=counters,
        )  # fmt: skip
        assert predicted.where("prediction.outputs[0] BETWEEN 0 AND 1").count() == 400
        loads.append(counters.loads.value)
    assert loads[0] in (1, 2)
    assert sum(loads) <= 2
    assert counters.texts.value >= 5
