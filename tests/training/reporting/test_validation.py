"""Validation during a run: the figures of the evaluation, the best model, and nothing changed in what is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed
import torch.multiprocessing
from PIL import Image

from rs2sam.backends.torch import load_model
from rs2sam.datasets.base import Sample
from rs2sam.errors import InvalidInputError
from rs2sam.evaluation import evaluate
from rs2sam.models import RS2SamModel
from rs2sam.processing import Processor
from rs2sam.segmenter import Segmenter
from rs2sam.training.reporting.validation import (
    ValidationSettings,
    Validator,
    read_validations,
    require_best_again,
    spread,
)
from tests.training.toy import toy_draw, toy_init

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_init(tmp_path_factory.mktemp("toy") / "init")


def samples(count: int = 5) -> list[Sample]:
    """Toy images; in every third nothing is meant."""
    drawn = [toy_draw(1000 + index) for index in range(count)]
    return [Sample(one.rgb, one.sentence, one.mask if i % 3 else None, str(i)) for i, one in enumerate(drawn)]


def validator(init: Path, output: Path, count: int = 5, **settings: Any) -> Validator:
    def card(model: RS2SamModel, validations: Any) -> str:
        return f"a card after step {validations[-1]['step']}"

    return Validator(
        samples(count), Processor.from_folder(init), output, ValidationSettings(batch_size=2, **settings), card
    )


@pytest.mark.parametrize("protocol", ["native", "published"])
def test_figures_are_those_of_the_evaluation(init, tmp_path, protocol):
    own = validator(init, tmp_path, protocol=protocol)
    done = own.run(load_model(init), 7, CPU, main=True)
    assert done is not None
    found, sheet = done
    expected = evaluate(Segmenter.load(init, backend="torch", device="cpu"), samples(), protocol, 3)
    metrics = expected.metrics()
    assert metrics is not None
    assert found["rows"] == expected.as_dict()["rows"]
    assert found["selection"] == metrics.miou + metrics.oiou
    assert (found["step"], found["num_samples"], found["protocol"]) == (7, 5, protocol)
    assert json.loads((tmp_path / "validation" / "step-000007.json").read_text()) == found
    with Image.open(tmp_path / "validation" / "step-000007.jpg") as picture:
        assert picture.size == sheet.size
    assert len(list((tmp_path / "validation").iterdir())) == 2


def test_model_is_left_as_it_was(init, tmp_path):
    model = load_model(init).train()
    model.trunk.eval()  # as a frozen part may be
    modes = {name: module.training for name, module in model.named_modules()}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    validator(init, tmp_path).run(model, 1, CPU, main=True)
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_mixed_precision_is_near_full(init, tmp_path):
    rows = []
    for bf16 in (False, True):
        done = validator(init, tmp_path / str(bf16), bf16=bf16).run(load_model(init), 1, CPU, main=True)
        assert done is not None
        rows.append(done[0]["rows"]["overall"]["model"])
    assert rows[1]["oIoU"] == pytest.approx(rows[0]["oIoU"], abs=0.1)


def test_best_model_is_a_whole_folder_and_stays_until_a_better_one(init, tmp_path):
    own = validator(init, tmp_path)
    best = tmp_path / "best"
    own.run(load_model(init), 2, CPU, main=True)
    assert (best / "README.md").read_text() == "a card after step 2"
    assert Segmenter.load(best, backend="torch", device="cpu").image_size == 64
    own.run(load_model(init), 4, CPU, main=True)  # equal is not better
    assert (best / "README.md").read_text() == "a card after step 2"
    assert [found["best"] for found in read_validations(tmp_path)] == [True, False]
    for found in own._done:
        found["selection"] -= 0.5
    own.run(load_model(init), 6, CPU, main=True)
    assert (best / "README.md").read_text() == "a card after step 6"


def test_resumed_run_knows_the_best_until_its_checkpoint(init, tmp_path):
    folder = tmp_path / "validation"
    folder.mkdir()
    for step, selection in ((2, 1.9), (4, 1.0), (6, 2.0)):
        text = json.dumps({"step": step, "selection": selection, "best": step != 4})
        (folder / f"step-{step:06d}.json").write_text(text)
        (folder / f"step-{step:06d}.jpg").write_bytes(b"")
    own = validator(init, tmp_path)
    own.begin(4)
    assert sorted(file.name for file in folder.glob("*.json")) == ["step-000002.json", "step-000004.json"]
    assert len(list(folder.glob("*.jpg"))) == 2
    own.run(load_model(init), 6, CPU, main=True)
    assert [found["best"] for found in read_validations(tmp_path)] == [True, False, False]
    assert not (tmp_path / "best").exists()


@pytest.mark.parametrize(
    "content",
    [b"\xff", b"[]", b"", b'{"step": 2}', b'{"step": [], "best": true, "selection": 1.0}', b"[" * 100_000],
)
def test_damaged_figures_are_an_error_that_names_their_file(tmp_path, content):
    (tmp_path / "validation").mkdir()
    (tmp_path / "validation" / "step-000002.json").write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"step-000002\.json.*Remove that file"):
        read_validations(tmp_path)


@pytest.mark.parametrize(
    ("step", "every_steps", "last_step", "refused"),
    [
        (6, 0, 9, False),  # `best/` is not later than the checkpoint
        (4, 2, 9, False),  # step 6 is validated again
        (4, 0, 6, False),  # likewise, as the last
        (4, 4, 9, True),
        (0, 0, 9, True),
    ],
)
def test_best_model_later_than_the_checkpoint_has_to_be_met_again(tmp_path, step, every_steps, last_step, refused):
    (tmp_path / "validation").mkdir()
    for validated, best in ((2, True), (6, True), (8, False)):
        text = json.dumps({"step": validated, "best": best, "selection": 1.0})
        (tmp_path / "validation" / f"step-{validated:06d}.json").write_text(text)
    if refused:
        with pytest.raises(InvalidInputError, match=rf"of step 6.*`validate.every_steps` = {every_steps}"):
            require_best_again(tmp_path, step, every_steps, last_step)
    else:
        require_best_again(tmp_path, step, every_steps, last_step)


def test_too_long_a_sentence_is_refused_before_the_run(init, tmp_path):
    endless = Sample(toy_draw(0).rgb, "a square beside " * 20, None, "0")
    with pytest.raises(InvalidInputError, match="at most 30 tokens"):
        Validator([endless], Processor.from_folder(init), tmp_path, ValidationSettings(), lambda *_: "")


@pytest.mark.parametrize(
    ("count", "wanted", "places"), [(5, 9, [0, 1, 2, 3, 4]), (9, 3, [0, 4, 8]), (1, 8, [0]), (4, 2, [0, 3])]
)
def test_spread_takes_the_ends_and_what_lies_evenly_between(count, wanted, places):
    assert spread(count, wanted) == places


def in_process(rank: int, world: int, init: Path, output: Path) -> None:
    """Validate where every process has the model, and where parameters are spread out and the first has it alone."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{output / 'store'}", rank=rank, world_size=world)
    try:
        for folder, model in (
            ("in all", load_model(init)),
            ("in the first", None if rank else load_model(init)),
        ):
            done = validator(init, output / folder).run(model, 3, CPU, main=rank == 0)
            assert (done is None) == (rank > 0)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_figures_do_not_depend_on_the_number_of_processes(init, tmp_path):
    alone = validator(init, tmp_path / "alone").run(load_model(init), 3, CPU, main=True)
    torch.multiprocessing.spawn(in_process, (2, init, tmp_path), nprocs=2)
    assert alone is not None
    for folder in ("in all", "in the first"):
        (together,) = read_validations(tmp_path / folder)
        assert together | {"seconds": 0} == alone[0] | {"seconds": 0}
