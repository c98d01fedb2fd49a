"""Bring the texts of the QGIS plugin into its translations: `python tools/qgis_translations.py`.

Every `tr("...")` becomes a message of each `i18n/rs2sam_LANGUAGE.ts`; translations that are there stay, texts that are
gone go. A new language is a new file: `python tools/qgis_translations.py fr`. Qt Linguist edits them, `make qgis-zip`
compiles them.
"""

from __future__ import annotations

import ast
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

PLUGIN = Path(__file__).parents[1] / "integrations" / "qgis" / "rs2sam_qgis"
CONTEXT = "rs2sam"


def texts() -> list[str]:
    """Every text for the user, in the order of the files."""
    found: dict[str, None] = {}
    for path in sorted(PLUGIN.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tr":
                text = node.args[0]
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    found[text.value] = None
    return list(found)


def translations(path: Path) -> dict[str, str]:
    """Text to translation, of a file that may not be there."""
    if not path.is_file():
        return {}
    messages = ET.parse(path).iter("message")
    return {message.findtext("source", ""): message.findtext("translation", "") for message in messages}


def write(path: Path, language: str) -> int:
    """Write a file anew with the texts of today; how many wait for a translation."""
    known, missing = translations(path), 0
    root = ET.Element("TS", version="2.1", language=language, sourcelanguage="en")
    context = ET.SubElement(root, "context")
    ET.SubElement(context, "name").text = CONTEXT
    for text in texts():
        message = ET.SubElement(context, "message")
        ET.SubElement(message, "source").text = text
        translated = ET.SubElement(message, "translation")
        translated.text = known.get(text, "")
        if not translated.text:
            translated.set("type", "unfinished")
            missing += 1
    ET.indent(root)
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n{ET.tostring(root, "unicode")}\n', encoding="utf-8"
    )
    return missing


if __name__ == "__main__":
    folder = PLUGIN / "i18n"
    languages = {path.stem.partition("_")[2] for path in folder.glob("rs2sam_*.ts")} | set(sys.argv[1:])
    for language in sorted(languages):
        missing = write(folder / f"rs2sam_{language}.ts", language)
        print(f"{language}: {missing} texts wait for a translation")
