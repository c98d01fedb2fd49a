"""Downloading a model from the hub, with messages that say what to do when it does not work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rs2sam.errors import WeightsNotFoundError, require, words_of

HUB_CLIENT = "huggingface_hub"

_NOT_NEEDED = ["*.msgpack", "*.h5", "*optimizer*", "*.pkl", "*.tfevents*", "*global_step*"]
_SHARED_FILES = ["*.spm", "*.model", "*.md", "LICENSE*"]
"""What a model in a subfolder may take from the top of its repository: tokenizer, card, terms."""


@dataclass(frozen=True)
class HubAddress:
    """A place on the hub.

    Args:
        repo: `owner/name`.
        subfolder: folder in the repository, "" for its top.
        revision: branch, tag or commit; None for the default branch.
        leave_out: patterns of files that are not needed.
    """

    repo: str
    subfolder: str = ""
    revision: str | None = None
    leave_out: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The shell command that downloads it into the same cache."""
        include = f' --include "{self.subfolder}/*"' if self.subfolder else ""
        revision = f" --revision {self.revision}" if self.revision else ""
        exclude = "".join(f' --exclude "{pattern}"' for pattern in self.leave_out)
        return f"hf download {self.repo}{include}{exclude}{revision}"


@dataclass(frozen=True)
class HubAccess:
    """How the hub and its caches are used.

    Args:
        local_files_only: never ask the network.
        cache_dir: download cache; default: `huggingface_hub`'s.
        assets_dir: cache of converted weights; default: `huggingface_hub`'s.
        endpoint: hub to ask; default: `huggingface_hub`'s.
    """

    local_files_only: bool = False
    cache_dir: str | Path | None = None
    assets_dir: str | Path | None = None
    endpoint: str | None = None


def download(name: str, address: HubAddress, access: HubAccess) -> Path:
    """Bring a model into the download cache, unless it is there.

    Args:
        name: as the user asked for it, for messages.
        address: where it is on the hub.
        access: how to get it.

    Returns:
        Its folder in the cache.

    Raises:
        WeightsNotFoundError: it is not there and cannot be downloaded.
        MissingDependencyError: the hub's client is not installed.
    """
    require(HUB_CLIENT, "hub", f"The model `{name}`, which is no folder here,")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        snapshot = snapshot_download(
            address.repo,
            revision=address.revision,
            allow_patterns=[f"{address.subfolder}/*", *_SHARED_FILES] if address.subfolder else None,
            ignore_patterns=[*_NOT_NEEDED, *address.leave_out],
            cache_dir=access.cache_dir,
            endpoint=access.endpoint,
            local_files_only=access.local_files_only,
            library_name="rs2sam",
            tqdm_class=_terminal_bar(),
        )
    except LocalEntryNotFoundError as error:
        raise WeightsNotFoundError(not_cached_message(name, address, access)) from error
    except Exception as error:  # broken transfers are errors of whichever HTTP library the client's version uses
        raise WeightsNotFoundError(_refusal(name, address, error)) from error
    return Path(snapshot) / address.subfolder


def not_cached_message(name: str, address: HubAddress, access: HubAccess) -> str:
    """What to do about a model that is not in the download cache while the hub cannot be asked."""
    from huggingface_hub import constants

    cache = Path(access.cache_dir or constants.HF_HUB_CACHE)
    if constants.HF_HUB_OFFLINE:
        reason, remedy = "offline mode is on (HF_HUB_OFFLINE=1)", "unset HF_HUB_OFFLINE"
    elif access.local_files_only:
        reason, remedy = "downloading was switched off (local_files_only)", "switch it on"
    else:
        reason, remedy = "the hub cannot be reached", "check the connection"
    return (
        f"The model `{name}` is not in the download cache ({cache}), or not completely, and {reason}. Either {remedy} "
        f"and run again; or, on a machine with a connection, run `{address.command}` and copy that machine's cache "
        "folder here; or give a folder that `rs2sam convert SOURCE FOLDER` wrote. `compact` needs no download."
    )


def _terminal_bar() -> type[Any]:
    """The client's progress bar, silent where stderr is no terminal (its bar of files is not, by itself)."""
    from huggingface_hub.utils.tqdm import tqdm

    class TerminalBar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{"disable": None, **kwargs})

    return TerminalBar


def _refusal(name: str, address: HubAddress, error: Exception) -> str:
    """What to do about an answer of the hub that is not the model."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, GatedRepoError):  # a kind of RepositoryNotFoundError, so asked first
        known = getattr(getattr(error, "response", None), "status_code", None) == 403
        now = "this account has no access yet" if known else "nobody is logged in here, or the token is not valid"
        return (
            f"The model `{name}` is gated, and {now}. Accept its terms on https://huggingface.co/{address.repo} and "
            "wait until access is granted, then run `hf auth login` here and run again; or give a folder that holds "
            f"what `{address.command}` fetches elsewhere."
        )
    if isinstance(error, RepositoryNotFoundError | HFValidationError):
        return (
            f"A model must be a known name, a folder, or a hub id `owner/name`: `{name}` is no folder here, and the "
            f"hub has no public repository {address.repo}. `rs2sam models` lists the known names; for a private "
            "repository run `hf auth login` first."
        )
    if isinstance(error, RevisionNotFoundError):
        return f"A revision must exist: {address.repo} has no `{address.revision}`. Leave it out, or correct it."
    reason = words_of(f"{type(error).__name__}: {error}".strip().partition("\n")[0])
    return (
        f"The model `{name}` could not be downloaded from {address.repo} ({reason}). Run again: files that were "
        f"finished are kept. Or fetch it separately: `{address.command}`."
    )
