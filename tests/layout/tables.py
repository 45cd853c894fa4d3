"""The README's tables as the code has them; `python -m tests.layout.tables` writes them into it."""

import re

from app.codes import FACTS, Code
from app.settings import list_documented
from tests.layout.code import ROOT

README = ROOT / "README.md"


def render_settings() -> str:
    """Return the table of settings."""
    lines = ["| variable | default | what it is |", "|---|---|---|"]
    for entry in list_documented():
        default = f"`{entry.default}`" if entry.default else ""
        lines.append(f"| `{entry.variable}` | {default} | {entry.about} |".replace("  ", " "))
    return "\n".join(lines)


def render_codes() -> str:
    """Return the table of codes."""
    lines = ["| code | means | may pass by itself | who must act |", "|---|---|---|---|"]
    for code in Code:
        facts = FACTS[code]
        again = "yes" if facts.is_retryable else "no"
        lines.append(f"| `{code.value}` | {facts.meaning} | {again} | {facts.fault.value or '-'} |")
    return "\n".join(lines)


TABLES = {"Settings": render_settings, "Codes": render_codes}


def put_table(readme: str, heading: str, table: str) -> str:
    """Replace the table under a heading."""
    before, mark, section = readme.partition(f"## {heading}\n")
    return before + mark + re.sub(r"(?:^\|.*\n)+", lambda _: table + "\n", section, count=1, flags=re.MULTILINE)


def main() -> None:
    text = README.read_text()
    for heading, render in TABLES.items():
        text = put_table(text, heading, render())
    README.write_text(text)


if __name__ == "__main__":
    main()
