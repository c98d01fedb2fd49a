"""Parameters spread over two processes (FSDP): the same training as with a whole model in each, also when resumed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import REPOSITORY
from tests.datasets.make_formats import write_jsonl
from tests.training.toy import toy_init

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

RECIPE = """
init: {init}
epochs: 3
batch_size: 1
save_every: 2
tensorboard: false
data: {{dataset: {data}, side: 64, num_workers: 0}}
loss: {{scope: sample}}
optimizer: {{warmup_steps: 0, schedule: constant, ema_decay: 0.5}}
validate: {{every_epochs: 3}}
"""
COMMAND = str(Path(sys.executable).parent / "rs2sam")
SMALL = ("lora_rank=2", "freeze_trunk=true", "activation_checkpointing=true", "precision=bf16")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fsdp")
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(init=toy_init(folder / "init"), data=write_jsonl(folder / "data")))
    return path


def run(how: str, recipe: Path, out: str, *overrides: str, resume: bool = False) -> dict[str, torch.Tensor]:
    """Train with two processes, parameters `whole` in each or `spread` over them; the weights that were saved."""
    changes = [word for override in overrides for word in ("--set", override)]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["-m", "tests.training.fsdp_on_cpu"] if how == "spread" else ["--no-python", COMMAND]
    command += ["train", str(recipe), "-o", str(recipe.parent / out), *changes, *(["--resume"] if resume else [])]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert (recipe.parent / out / "best" / "model.safetensors").is_file()
    return load_file(recipe.parent / out / "model" / "model.safetensors")


def test_spread_parameters_train_as_whole_ones_do(recipe):
    whole, spread = run("whole", recipe, "whole"), run("spread", recipe, "spread")
    start = load_file(recipe.parent / "init" / "model.safetensors")
    assert whole.keys() == spread.keys() == start.keys()
    moved = max((whole[name] - start[name]).abs().max().item() for name in start)
    differ = max((whole[name] - spread[name]).abs().max().item() for name in start)
    assert differ < 0.02 * moved


def test_spread_run_with_everything_that_saves_memory_resumes_exactly(recipe):
    whole = run("spread", recipe, "small", *SMALL)
    folder = recipe.parent / "small"
    shutil.rmtree(folder / "checkpoint-6")
    shutil.rmtree(folder / "model")
    again = run("spread", recipe, "small", *SMALL, resume=True)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert whole.keys() == load_file(recipe.parent / "init" / "model.safetensors").keys()
