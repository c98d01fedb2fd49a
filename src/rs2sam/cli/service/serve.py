"""`rs2sam serve`: the REST service and its page."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from rs2sam.cli.demo import write_demo_scene
from rs2sam.cli.scene import load_segmenter
from rs2sam.cli.shell.completing import FILE, FOLDER, complete_model
from rs2sam.errors import InvalidInputError, require, words_of
from rs2sam.files import refuse_special_file

if TYPE_CHECKING:
    from rs2sam.serve.settings import Example, Settings

EPILOG = """\b
Examples:
  rs2sam serve
  rs2sam serve --root /data/scenes --port 8080
  RS2SAM_TOKEN=... rs2sam serve --host 0.0.0.0

\b
  curl -F file=@scene.tif -F sentence="the storage tanks" \\
       -H "Accept: application/geo+json" http://127.0.0.1:8008/v1/segment

The service has no TLS of its own: beyond this machine put it behind a proxy
that has. docs/serve.md describes addresses, limits and what is refused.
"""
_SECONDS_TO_END = 10
_NEEDED = ("fastapi", "uvicorn", "multipart", "prometheus_client", "rio_tiler")


@click.command(epilog=EPILOG)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; others need a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8008, show_default=True, help="0: any that is free.")
@click.option("--data", type=FOLDER, help="Folder for images, jobs, results [default: ~/.local/state/rs2sam/serve].")
@click.option("--root", type=FOLDER, help="Folder whose images may be named by path [default: none may].")
@click.option(
    "--token-file", type=FILE, help="File with the token that clients must show [default: RS2SAM_TOKEN, if set]."
)
@click.option("--allow-host", "hosts", multiple=True, help="Further name under which the service is reached.")
@click.option(
    "--base-map", help="URL of map tiles under scenes, with {z}, {x}, {y} [default: none, no request leaves]."
)
@click.option("--base-map-attribution", default="", help="What the owner of the base map wants to be said.")
@click.option(
    "--model", default="compact", show_default=True, shell_complete=complete_model, help="Name, folder or hub id."
)
@click.option("--backend", type=click.Choice(["onnx", "torch"]), help="What runs the model [default: what it needs].")
@click.option("--device", help="Where it runs, e.g. cpu or cuda:0 [default: a GPU if the backend has one].")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads for the model [default: all cores].")
@click.option("--max-upload", default="2GB", show_default=True, help="Of one image file.")
@click.option(
    "--max-pixels", type=click.IntRange(min=1), default=2_000_000_000, show_default=True, help="Of one image."
)
@click.option("--store", default="20GB", show_default=True, help="Of everything that is kept on disk.")
@click.option("--cache", default="1GB", show_default=True, help="Of prepared images in memory.")
@click.option("--memory", default="2GB", show_default=True, help="What the engine may use for a job, beside the model.")
@click.option("--keep-hours", type=click.FloatRange(min=0.01), default=24.0, show_default=True, help="Since last used.")
@click.option(
    "--rate", type=click.FloatRange(min=0.1), default=50.0, show_default=True, help="Requests/s of one client."
)
def serve(**options: Any) -> None:
    """Answer sentences about images over HTTP, with a page to try it on."""
    for library in _NEEDED:
        require(library, "serve", "`rs2sam serve`")
    settings = settings_from(options)
    segmenter = load_segmenter(options["model"], options["backend"], options["device"], options["threads"])
    import uvicorn

    from rs2sam.serve.app import create_app
    from rs2sam.serve.service import Service

    listening = _listen(settings.host, settings.port)
    with listening:
        service = Service(settings, segmenter)
        config = uvicorn.Config(
            create_app(service),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_SECONDS_TO_END,
            timeout_keep_alive=15,
            limit_concurrency=4 * settings.limits.requests,
            h11_max_incomplete_event_size=64 * 1024,
            http="h11",
            proxy_headers=False,
        )

        class Server(uvicorn.Server):
            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                # Event streams end when they see it, so that ending does not wait for them.
                service.is_ready = False
                super().handle_exit(sig, frame)

        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        click.echo(f"rs2sam serve: http://{shown}:{listening.getsockname()[1]}/", err=True)
        Server(config).run(sockets=[listening])


def settings_from(options: dict[str, Any]) -> Settings:
    """The command line as settings.

    Raises:
        InvalidInputError: they are not safe, or do not fit.
    """
    from rs2sam.serve.settings import BaseMap, Limits, Settings

    data = options["data"] or _state_folder()
    settings = Settings(
        data=data,
        host=options["host"],
        port=options["port"],
        token=_token(options["token_file"]),
        root=options["root"],
        hosts=tuple(options["hosts"]),
        base_map=None if not options["base_map"] else BaseMap(options["base_map"], options["base_map_attribution"]),
        model=options["model"],
        limits=Limits(
            upload_bytes=_bytes_of(options, "max_upload"),
            pixels=options["max_pixels"],
            store_bytes=_bytes_of(options, "store"),
            cache_bytes=_bytes_of(options, "cache"),
            job_bytes=_bytes_of(options, "memory"),
            keep_s=options["keep_hours"] * 3600,
            rate=options["rate"],
            burst=max(1, round(options["rate"] * 10)),
        ),
    )
    return replace(settings, examples=(_demo(data),))


def _bytes_of(options: dict[str, Any], name: str) -> int:
    """An option that is a number of bytes.

    Raises:
        InvalidInputError: it is none; the message names the option.
    """
    from rs2sam.scenes.budget import parse_memory

    try:
        return parse_memory(options[name])
    except InvalidInputError as error:
        raise InvalidInputError(f"--{name.replace('_', '-')}: {error}") from error


def _token(file: Path | None) -> str | None:
    """The token of a file or the environment; None where there is none."""
    if file is None:
        return os.environ.get("RS2SAM_TOKEN") or None
    refuse_special_file("token file", file)
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"The token file {str(file)!r} cannot be read ({words_of(error)}). Check the path."
        ) from error


def _state_folder() -> Path:
    """Where services keep their state, by the XDG rules."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "rs2sam" / "serve"


def _demo(data: Path) -> Example:
    """The drawn scene as an example; drawn when it is not there."""
    from rs2sam.serve.settings import Example

    path = data / "examples" / "demo.tif"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_demo_scene(path)
    sentences = ("the storage tanks", "the water", "the ship")
    return Example("demo", "Drawn harbour scene, 0.5 m/px", path, sentences)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens, before the model is put to work.

    Raises:
        InvalidInputError: the address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        raise InvalidInputError(
            f"The service cannot listen at {host}:{port} ({error.strerror or words_of(error)}). Choose another --port "
            "or --host."
        ) from error
    return listening
