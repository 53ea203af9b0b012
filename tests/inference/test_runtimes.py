"""Test that int8 is near fp32 and used only if accepted, and that new runtimes register."""

import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from profile_lib.errors import InputError
from profile_lib.inference.predictor import Predictor
from profile_lib.inference.runtime import RUNTIMES, Runtime
from profile_lib.inference.runtime_choice import bind_runtime, check_runtime, choose_runtime
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
MAX_RUNS = 9  # more than idle workers


@pytest.fixture(scope="module")
def model() -> ProfileModel:
    torch.manual_seed(4)
    model = ProfileModel(tiny_spec()).eval()
    torch.nn.init.normal_(model.heads.added.weight)
    return model


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory) -> Path:
    """The folder of the model, with an int8 encoder that was accepted."""
    folder = tmp_path_factory.mktemp("int8")
    quantize_encoder(model, TEXTS, folder / INT8_FOLDER)
    save(model, folder, is_accepted=True)
    return folder / "m"


def save(model: ProfileModel, folder: Path, is_accepted: bool) -> Manifest:
    ratio = 0.999 if is_accepted else 0.99
    manifest = Int8Manifest(
        weights="", calibration_texts=40, quality_ratios={"buys pr_auc": ratio},
        min_quality_ratio=0.995, is_accepted=is_accepted,
    )  # fmt: skip
    (folder / INT8_FOLDER / INT8_MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
    tokenizer = encoder_folder("default")
    return save_model(
        str(folder / "m"), model, tokenizer, {}, {}, folders={INT8_FOLDER: folder / INT8_FOLDER}
    )


def load(name: str, folder: Path, model: ProfileModel) -> Runtime:
    return RUNTIMES.get(name).load(str(folder), model, CPU, 1)


def test_int8_hidden_states_are_near_fp32_and_do_not_depend_on_padding(saved, model):
    runtime = load("openvino_int8", saved, model)
    padded = runtime.encode(IDS, LENGTHS).numpy().copy()
    fp32 = load("torch_fp32", saved, model).encode(IDS, LENGTHS)
    for row, n in enumerate(LENGTHS):
        single = runtime.encode(IDS[row : row + 1, :n], LENGTHS[row : row + 1]).numpy()[0]
        np.testing.assert_allclose(padded[row, :n], single, atol=1e-5)
        cosine = np.sum(single * fp32[row, :n].numpy()) / (
            np.linalg.norm(single) * np.linalg.norm(fp32[row, :n])
        )
        assert 0.995 < cosine < 1 - 1e-9


def test_a_model_bound_to_a_runtime_predicts_with_the_encoder_of_that_runtime(saved, model):
    runtime = load("openvino_int8", saved, model)
    ids, lengths = torch.from_numpy(IDS), torch.from_numpy(LENGTHS)
    with torch.inference_mode():
        bound = bind_runtime(runtime, model)(ids, lengths, torch.zeros(2, 1)).logits["buys"]
        plain = model(ids, lengths, torch.zeros(2, 1)).logits["buys"]
    assert bound.tolist() == pytest.approx(plain.tolist(), abs=0.05)
    assert bound.tolist() != plain.tolist()


def test_auto_chooses_int8_only_if_it_was_accepted(saved, model, tmp_path):
    assert choose_runtime("auto", str(saved), CPU) is RUNTIMES.get("openvino_int8")
    shutil.copytree(saved.parent / INT8_FOLDER, tmp_path / INT8_FOLDER)
    save(model, tmp_path, is_accepted=False)
    not_accepted = str(tmp_path / "m")
    assert choose_runtime("auto", not_accepted, CPU).loads_torch_encoder
    with pytest.raises(InputError, match=r"int8 keeps .* buys pr_auc 0.9900; wanted 0.995"):
        choose_runtime("openvino_int8", not_accepted, CPU)


def test_int8_is_refused_for_a_model_without_an_int8_encoder(tmp_path):
    with pytest.raises(
        InputError, match="no int8 encoder; train it with quantization.enabled true"
    ):
        check_runtime("openvino_int8", str(tmp_path))


def test_the_error_for_an_unknown_runtime_names_all_runtimes(saved):
    with pytest.raises(
        InputError,
        match="refresh.runtime: found fast; wanted one of auto, openvino_int8, torch_bf16, torch",
    ):
        check_runtime("fast", str(saved))


def test_a_changed_int8_graph_is_detected(saved):
    graph = saved / INT8_FOLDER / "encoder.bin"
    content = graph.read_bytes()
    try:
        graph.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(InputError, match=r"int8/encoder.bin: sha256 .* was changed"):
            check_model(str(saved))
    finally:
        graph.write_bytes(content)


def test_bf16_is_near_fp32_or_refused_on_a_processor_without_bf16(saved, model):
    check_runtime("torch_bf16", str(saved))  # a driver does not know the workers' devices
    if not torch.cpu._is_avx512_bf16_supported():
        with pytest.raises(InputError, match="this cpu has no bf16; wanted auto or torch_fp32"):
            choose_runtime("torch_bf16", str(saved), CPU)
        return
    bf16 = load("torch_bf16", saved, model).encode(IDS, LENGTHS)
    fp32 = load("torch_fp32", saved, model).encode(IDS, LENGTHS)
    assert bf16.dtype == torch.float32
    assert (bf16 - fp32).abs().max() < 0.1


NEW_RUNTIME = '''
import torch
from profile_lib.inference.runtime import RUNTIMES, Runtime


@RUNTIMES.register("ones")
class Ones(Runtime):
    """Return hidden states of ones."""

    loads_torch_encoder = False
    device = torch.device("cpu")

    def __init__(self, size):
        self.size = size

    @classmethod
    def find_obstacle(cls, folder, device):
        return "it reads only models called m" if not folder.endswith("/m") else None

    @classmethod
    def load(cls, folder, model, device, threads):
        return cls(model.spec.bert["hidden_size"])

    def encode(self, token_ids, n_tokens):
        return torch.ones(*token_ids.shape, self.size)
'''


def test_a_runtime_in_a_new_module_can_be_used_by_its_name(saved, tmp_path, monkeypatch):
    (tmp_path / "ones_runtime.py").write_text(NEW_RUNTIME)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(RUNTIMES, "by_name", RUNTIMES.all())
    import_module("ones_runtime")
    check_runtime("ones", str(saved))
    predictor = Predictor.load(
        str(saved), check_model(str(saved)).model_version, runtime="ones", device=CPU, threads=1,
        batch_tokens=64, max_events=2,
    )  # fmt: skip
    assert predictor.model.bert is None
    np.testing.assert_array_almost_equal(predictor.pool(IDS, LENGTHS), np.ones((2, 8)))
    assert predictor.predict(IDS, LENGTHS, np.ones((2, 1))).outputs["buys"].shape == (2,)
    assert choose_runtime("auto", str(saved), CPU) is not RUNTIMES.get("ones")
    with pytest.raises(InputError, match="refresh.runtime: ones, but it reads only models called"):
        check_runtime("ones", str(saved.parent))


def test_a_name_cannot_be_registered_twice():
    with pytest.raises(ValueError, match="refresh.runtime: torch_fp32 is registered twice"):
        RUNTIMES.register("torch_fp32")(Runtime)


def test_a_python_worker_loads_the_model_once_for_all_its_tasks(spark, saved):
    """Eight tasks on two cores need two workers at most, of the few that earlier queries left."""
    rows = [(f"text {i % 30}", [2, 4 + i % 5, 3, 0], 3, [1.0]) for i in range(400)]
    frame = spark.createDataFrame(
        rows, "text string, token_ids array<int>, n_tokens int, numeric array<double>"
    )
    loads = [1]
    while loads[-1] and len(loads) <= MAX_RUNS:
        counters = InferenceCounters.create(spark.sparkContext)
        predicted = add_predictions(
            frame, str(saved), categories=[], model_version=check_model(str(saved)).model_version,
            runtime="auto", batch_tokens=64, max_events=2, n_reasons=0, counters=counters,
        )  # fmt: skip
        assert predicted.where("prediction.outputs[0] BETWEEN 0 AND 1").count() == 400
        loads.append(counters.loads.value)
    assert loads[1] in (1, 2)
    assert loads[-1] == 0
    assert counters.texts.value >= 5
