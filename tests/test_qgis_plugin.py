"""What of the QGIS plugin needs no QGIS: command lines, following a program, speaking to a server, the zip."""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import sys
import zipfile
from collections import Counter
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import click
import numpy as np
import pytest

import rs2sam
from rs2sam.cli import main
from tests.make_rasters import write_tiff

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "integrations" / "qgis"))

from rs2sam_qgis.running import client as client_module  # noqa: E402
from rs2sam_qgis.running.client import Client  # noqa: E402
from rs2sam_qgis.running.commands import (  # noqa: E402
    Options,
    batch_command,
    environment_for_program,
    program_of,
    segment_command,
    sentences_of,
)
from rs2sam_qgis.running.errors import CanceledError, RunError  # noqa: E402
from rs2sam_qgis.running.process import Progress, run_program  # noqa: E402
from rs2sam_qgis.running.results import SceneResult  # noqa: E402

EVERY = Options(
    model="compact",
    threshold=0.25,
    min_area="20m2",
    bands="4,3,2",
    stretch="none",
    tile=600,
    gsd=0.3,
    simplify=0.5,
    orthogonal=True,
    mirror=True,
    class_map=True,
    extra="--scope tile",
)


def parsed(command: list[str]) -> dict[str, object]:
    """The parameters that rs2sam itself reads from a command line that starts with `rs2sam`."""
    context = main.make_context("rs2sam", command[1:])
    name, subcommand, words = main.resolve_command(context, [*context._protected_args, *context.args])
    assert isinstance(subcommand, click.Command)
    return {**context.params, **subcommand.make_context(name, words, parent=context).params}


# --- command lines ----------------------------------------------------------------------------------------------------


def test_every_option_reaches_rs2sam_and_a_sentence_may_look_like_one():
    command = segment_command(["rs2sam"], "-odd.tif", ["--the roofs", "the water"], "out", EVERY)
    read = parsed(command)
    assert (read["image"], read["sentence"]) == ("-odd.tif", ("--the roofs", "the water"))
    given = {**vars(EVERY), "gsd_m": EVERY.gsd, "simplify_m": EVERY.simplify, "scope": "tile"}
    for name in {field.name for field in fields(Options)} - {"gsd", "simplify", "extra", "keep_probabilities"}:
        assert read[name] == given[name], name
    assert (read["gsd_m"], read["simplify_m"], read["scope"]) == (0.3, 0.5, "tile")
    assert (read["folder"], read["overwrite"], read["as_json"], read["progress"]) == (Path("out"), True, True, "lines")


def test_a_batch_is_gone_on_with_unless_it_is_to_be_done_again():
    for overwrite in (True, False):
        read = parsed(batch_command(["rs2sam"], "in", ["the water"], "out", Options(), overwrite=overwrite))
        assert (read["given"], read["sentence"], read["overwrite"]) == ("in", ("the water",), overwrite)


def test_sentences_are_the_lines_of_a_text():
    assert sentences_of(" the water \n\nthe roofs\r\nthe water\n") == ["the water", "the roofs"]
    with pytest.raises(RunError, match="no sentence"):
        sentences_of(" \n")


def test_a_program_is_a_path_or_a_command_line(tmp_path):
    path = tmp_path / "my sam"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    assert program_of(str(path)) == [str(path)]
    assert program_of(f"{sys.executable} -m rs2sam") == [sys.executable, "-m", "rs2sam"]
    with pytest.raises(RunError, match=r"'no-such-program'.*Options"):
        program_of("no-such-program --x")


def test_the_environment_of_qgis_stays_in_qgis():
    kept = environment_for_program({"PYTHONHOME": "/qgis", "PROJ_LIB": "/qgis", "GDAL_DATA": "/qgis", "HOME": "/me"})
    assert kept == {"HOME": "/me", "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


def test_the_plugin_is_read_by_the_oldest_python_of_qgis():
    for path in sorted((ROOT / "integrations/qgis/rs2sam_qgis").rglob("*.py")):
        ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 9))


# --- a program --------------------------------------------------------------------------------------------------------


def test_progress_is_that_of_all_scenes():
    progress = Progress()
    assert not progress.read("warning: progress: 1/2 views")
    assert progress.read("progress: 3/20 views")
    assert progress.percent == 15
    progress.read("progress: 1/4 scenes")
    assert progress.percent == 25
    progress.read("progress: 1/2 views")
    assert progress.percent == 37.5
    progress.read("progress: 4/4 scenes")
    assert progress.percent == 100
    progress.read("progress: 0/0 views")
    assert progress.percent == 100


def run_python(code: str, **others):
    heard: dict[str, list] = {"percent": [], "lines": []}
    outcome = run_program(
        [sys.executable, "-c", code],
        heard["percent"].append,
        heard["lines"].append,
        others.get("is_canceled", lambda: False),
    )
    return outcome, heard


def test_a_program_is_followed_line_by_line_and_its_report_read():
    outcome, heard = run_python(
        "import sys; e = sys.stderr\n"
        "print('progress: 1/2 views', file=e); print('warning: blüh', file=e); print('{\"a\": \"é\"}')"
    )
    assert outcome.report == {"a": "é"}
    assert outcome.problem == ""
    assert heard == {"percent": [50.0], "lines": ["warning: blüh"]}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('error: the rule, what was received', file=sys.stderr); sys.exit(1)", "^the rule, what was received$"),
        ("print('Error: No such option: --progress', file=sys.stderr); sys.exit(2)", "older than this plugin"),
        ("print('Traceback'); print('boom', file=sys.stderr); sys.exit(3)", "code 3 and without results\nboom"),
        ("print('[]')", "without results"),
    ],
)
def test_a_program_without_a_report_is_an_error_in_its_own_words(code, said):
    with pytest.raises(RunError, match=said):
        run_python(f"import sys; {code}")


def test_a_report_beside_an_error_is_a_result_with_a_problem():
    outcome, _ = run_python("import sys; print('{}'); print('error: 2 blocks are lost', file=sys.stderr); sys.exit(1)")
    assert outcome.problem == "2 blocks are lost"


def test_a_cancelled_program_has_ended(tmp_path):
    marks = iter([False, False, True])
    file = tmp_path / "pid"
    code = f"import os, time; open({str(file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(CanceledError):
        run_python(code, is_canceled=lambda: file.exists() and bool(file.read_text()) and next(marks))
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)


def test_rs2sam_itself_is_run(tmp_path):
    image = tmp_path / "scene.tif"
    write_tiff(image, np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    source = str(Path(rs2sam.__file__).parents[1])  # PYTHONPATH stays behind
    program = [sys.executable, "-c", f"import sys; sys.path.insert(0, {source!r}); from rs2sam.cli import main; main()"]
    percent: list[float] = []
    command = segment_command(program, str(image), ["the water"], str(tmp_path / "out"), Options(class_map=True))
    outcome = run_program(command, percent.append, lambda line: None, lambda: False)
    result = SceneResult(str(tmp_path / "out"), outcome.report)
    assert percent[-1] == 100
    assert result.sentences == ["the water"]
    for kind in ("mask", "polygons", "classes", "result"):
        assert Path(result.path(kind)).is_file()
    with pytest.raises(RunError, match="no-such-file"):
        run_program(
            segment_command(program, "no-such-file.tif", ["the water"], str(tmp_path / "no"), Options()),
            percent.append,
            lambda line: None,
            lambda: False,
        )


# --- a server ---------------------------------------------------------------------------------------------------------


class FakeServer(BaseHTTPRequestHandler):
    """As `rs2sam serve` answers: an image of pieces of four bytes, a job of three questions."""

    def setup(self) -> None:
        super().setup()
        self.state = self.server.state

    def log_message(self, *words: object) -> None:
        pass

    def answer(self, value: object, status: int = 200, **headers: str) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_any(self) -> None:
        state = self.state
        state["asked"][f"{self.command} {self.path}"] += 1
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if state["token"] and self.headers.get("Authorization") != f"Bearer {state['token']}":
            self.answer({"detail": "no token"}, 401)
        elif self.path == "/v1/service":
            self.answer({"version": "1", "model": {"name": "compact"}, "limits": {"chunk_bytes": 4}})
        elif self.path == "/v1/images":
            state["content"] = b""
            self.answer({"id": "i", "state": "uploading"}, 201)
        elif self.path == "/v1/images/i/content":
            assert int(self.headers["Upload-Offset"]) == len(state["content"])
            state["content"] += body
            self.answer({"id": "i", "state": "encoding"})
        elif self.path.startswith("/v1/images/i/segment"):
            state["busy"] -= 1
            if state["busy"] >= 0:
                self.answer({"detail": "busy"}, 429, Retry_After="0")
            else:
                self.answer({"asked": json.loads(body)})
        elif self.path.startswith("/v1/images/i"):
            self.answer(
                {"id": "i", "state": state["image"], "error": {"detail": "it is no image"}},
                404 if state["image"] == "gone" else 200,
            )
        elif self.path == "/v1/jobs":
            state["job"] = json.loads(body)
            self.answer({"id": "j", "state": "queued"}, 202)
        elif self.path == "/v1/jobs/j" and self.command == "GET":
            done = state["asked"]["GET /v1/jobs/j"] >= 3
            files = [{"name": "../a_mask.tif", "href": "/v1/jobs/j/files/a_mask.tif"}]
            self.answer(
                {
                    "id": "j",
                    "state": "done" if done else "running",
                    "progress": {"fraction": 1.0 if done else 0.5},
                    "files": files if done else [],
                    "result": {"outputs": {"mask": "a_mask.tif"}},
                }
            )
        else:
            self.answer(b"mask")

    do_GET = do_POST = do_PATCH = do_DELETE = handle_any


@pytest.fixture
def server(monkeypatch):
    """A client and what its server knows."""
    monkeypatch.setattr(client_module, "_POLL_SECONDS", 0)
    http = ThreadingHTTPServer(("127.0.0.1", 0), FakeServer)
    http.state = {"asked": Counter(), "token": "", "busy": 0, "image": "ready", "content": b""}
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Client(f"http://127.0.0.1:{http.server_port}/"), http.state
    http.shutdown()
    thread.join()
    http.server_close()


def go_on() -> bool:
    return False


def ignore(percent: float) -> None:
    pass


def test_a_file_is_sent_once_in_pieces_and_again_when_the_server_forgot_it(server, tmp_path):
    client, state = server
    file = tmp_path / "a.tif"
    file.write_bytes(b"0123456789")
    percent: list[float] = []
    for _ in range(2):
        assert client.image(str(file), percent.append, go_on)["state"] == "ready"
    assert state["content"] == b"0123456789"
    assert percent == [40.0, 80.0, 100.0]
    assert state["asked"]["POST /v1/images"] == 1
    file.write_bytes(b"9876543210!")
    client.image(str(file), ignore, go_on)
    assert state["content"] == b"9876543210!"
    state["image"] = "failed"
    with pytest.raises(RunError, match=r"^it is no image$"):
        client.image(str(file), ignore, go_on)


def test_a_busy_server_is_asked_again(server):
    client, state = server
    state["busy"] = 2
    answer = client.answer("i", ["the water"], Options(threshold=0.4, min_area="9px"))
    assert answer["asked"] == {"sentences": ["the water"], "options": {"threshold": 0.4, "min_area": "9px"}}
    assert state["asked"]["POST /v1/images/i/segment"] == 3


def test_a_job_brings_its_files_into_the_folder(server, tmp_path):
    client, state = server
    percent: list[float] = []
    options = Options(simplify=0.5, class_map=True, gsd=0.3)
    result = client.job("i", ["the water"], options, str(tmp_path / "out"), percent.append, go_on)
    assert Path(result.path("mask")).read_bytes() == b"mask"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a_mask.tif"]
    assert state["job"] == {
        "image": "i",
        "sentences": ["the water"],
        "options": {"gsd_m": 0.3},
        "outputs": {"simplify_m": 0.5, "class_map": True},
    }
    assert percent == [50.0, 50.0, 100.0]


def test_a_cancelled_job_is_cancelled_on_the_server(server, tmp_path):
    client, state = server
    with pytest.raises(CanceledError):
        client.job("i", ["the water"], Options(), str(tmp_path), ignore, lambda: True)
    assert state["asked"]["DELETE /v1/jobs/j"] == 1


def test_errors_of_a_server_say_what_to_do(server):
    client, state = server
    state["token"] = "secret"
    with pytest.raises(RunError, match="demands a token"):
        client.service()
    assert Client(client.url, "secret").service()["version"] == "1"
    with pytest.raises(RunError, match=r"mirror.*command line"):
        client.describe(["the water"], Options(mirror=True))
    with pytest.raises(RunError, match="http://"):
        Client("127.0.0.1:8008")
    with pytest.raises(RunError, match=r"No rs2sam server answers.*rs2sam serve"):
        Client("http://127.0.0.1:9").service()


# --- the zip and its words -------------------------------------------------------------------------------------------


def test_translations_have_the_texts_of_today_and_their_fields(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    from qgis_translations import PLUGIN, texts, translations

    files = sorted((PLUGIN / "i18n").glob("*.ts"))
    assert files
    for file in files:
        known = translations(file)
        assert list(known) == texts(), f"run tools/qgis_translations.py: {file.name}"
        for text, translated in known.items():
            assert set(re.findall(r"{\w+}", translated or text)) == set(re.findall(r"{\w+}", text))


def test_the_zip_is_what_the_plugin_manager_takes(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    from qgis_zip import pack

    path = pack(tmp_path, "https://example.org/rs2sam")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(archive.read("rs2sam_qgis/metadata.txt").decode())
    assert {name.partition("/")[0] for name in names} == {"rs2sam_qgis"}
    assert {"rs2sam_qgis/__init__.py", "rs2sam_qgis/LICENSE", "rs2sam_qgis/icon.svg"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or "/test" in name]
    general = parser["general"]
    assert general["version"] == rs2sam.__version__
    # What plugins.qgis.org demands.
    for key in ("name", "description", "about", "qgisMinimumVersion", "author", "repository", "tracker"):
        assert general[key], key
    first = path.read_bytes()
    assert pack(tmp_path, "https://example.org/rs2sam").read_bytes() == first
