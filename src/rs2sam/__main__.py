"""`python -m rs2sam`: the command line, for launchers that start modules (`torchrun -m rs2sam ...`)."""

from __future__ import annotations

from rs2sam.cli import main

if __name__ == "__main__":
    main(prog_name="rs2sam")
