"""What benchmarks/speed/gpu.py says of what was asked, on made-up readings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from benchmarks.speed.gpu import Summary, compared_cases, pieces
from benchmarks.speed.gpu_asked import as_text, asked

REPOSITORY = Path(__file__).resolve().parents[2]


def uncompiled(images_per_s, share=0.1):
    return {"candidates": [{"best_batch": {"images_per_s": images_per_s}, "share_of_matrix_rate": share}]}


def compiled(batch, images_per_s, share):
    way = {"wall_s": batch / images_per_s, "images_per_s": images_per_s, "share_of_matrix_rate": share}
    return {"precision": "bf16", "batch": batch, "on_device": way, "from_arrays": way, "from_pictures": way}


def step(seconds, memory, loss=1.0):
    return {"step_s": {"median": seconds}, "last_loss": loss, "peak_memory_mib": memory}


DONE = {
    "plain-float32": uncompiled(20.0),
    "fused-bf16": uncompiled(100.0, 0.3),
    "graphs-bf16-1": compiled(1, 80.0, 0.2),
    "graphs-bf16-16": compiled(16, 170.0, 0.46),
    "agreement": {"real": True, "pictures": 2, "fp16": {"least_iou": 0.997, "mean_iou": 0.999, "masks": 5}},
    "loading": {"second_load_s": 0.5, "second_read_s": 0.5, "second_host_peak_mib": 3000.0, "file_mib": 1768.0},
    "train-0-plain": step(1.0, 9000),
    "train-0-trainer": step(0.25, 5000),
    "train-1-trainer": step(0.5, 3000),
}


def answers(done):
    return {row["question"]: row for row in asked(done | compared_cases(done, toy=True))}


def test_every_question_is_answered_from_the_best_piece():
    found = answers(DONE)
    assert found["bf16: share of the matrix rate, images on the device"] == {
        "question": "bf16: share of the matrix rate, images on the device",
        "asked": 0.45,
        "read": 0.46,
        "reached": True,
        "of": "graphs-bf16-16",
    }
    assert found["bf16: times the eager float32 baseline's images/s"]["read"] == pytest.approx(8.5)
    assert found["bf16: seconds of a single image, from pictures"]["reached"]  # 12.5 ms
    assert found["fp16: least IoU of a mask with float32's"]["reached"]
    assert found["load to the device, times reading the file"]["read"] == 1.0
    assert not found["peak host memory beyond the file, MiB"]["reached"]
    assert "NOT REACHED" in as_text(found.values())


def test_training_is_compared_with_the_plain_loop_also_where_only_ours_checkpoints():
    found = answers(DONE)
    assert found["hiera-compact, 64 px: trainer times as fast as plain"]["reached"]
    checkpointed = found["hiera-compact, 64 px, checkpointing: trainer times as fast as plain"]
    assert (checkpointed["read"], checkpointed["reached"]) == (2.0, False)
    assert found["hiera-compact, 64 px: trainer, peak MiB"]["read"] == 5000
    assert found["hiera-compact, 64 px, checkpointing: trainer, peak MiB"]["read"] == 3000


def test_other_losses_are_no_comparison():
    found = answers(DONE | {"train-0-trainer": step(0.25, 5000, loss=2.0)})
    row = found["hiera-compact, 64 px: trainer times as fast as plain"]
    assert row["read"] is None
    assert "must end with one loss" in row["of"]


def test_what_is_not_done_and_what_was_only_drawn_reaches_nothing():
    assert all(row["read"] is None and row["reached"] is None for row in answers({}).values())
    drawn = DONE["agreement"] | {"real": False}
    row = answers({"agreement": drawn})["fp16: least IoU of a mask with float32's"]
    assert (row["read"], row["reached"]) == (0.997, None)


def test_failed_pieces_come_last_and_keep_what_they_found(tmp_path):
    summary = Summary(tmp_path / "summary.json", toy=True)
    first, second, *_ = summary.open_pieces()
    summary.take(first, 1.0, uncompiled(20.0), "exit code 1")
    again = Summary(tmp_path / "summary.json", toy=True)
    assert again.open_pieces()[0] == second
    assert again.open_pieces()[-1] == first
    assert again.failed[first]["found"] == uncompiled(20.0)
    again.take(first, 1.0, uncompiled(30.0), None)
    assert first not in Summary(tmp_path / "summary.json", toy=True).open_pieces()
    with pytest.raises(SystemExit, match="toy sizes"):
        Summary(tmp_path / "summary.json", toy=False)


@pytest.mark.slow
def test_one_piece_runs_and_only_the_summary_is_written(tmp_path):
    command = [
        sys.executable,
        "-m",
        "benchmarks.speed.gpu",
        "--out",
        str(tmp_path / "out"),
        "--toy",
        "--only",
        "loading",
    ]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, timeout=200)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["summary.json"]
    assert list(json.loads((tmp_path / "out/summary.json").read_text())["pieces"]) == ["loading"]
    listed = subprocess.run([*command[:-2], "--list"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert listed.stdout.split("\n")[:-1] == [
        f"{'done' if n == 'loading' else 'open':6}  {n}" for n in pieces(toy=True)
    ]
