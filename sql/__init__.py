"""I/O (reads this folder): every SQL statement of the project, by name, with its typed parameters.

A query in `queries/*.sql` looks like this:

    -- name: get_request :one
    -- One request of a workspace, with its counts.
    -- params: workspace_id uuid, id uuid
    SELECT ... WHERE workspace_id = $1 AND id = $2;
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

KINDS: Final = ("one", "many", "exec")
_HEAD: Final = re.compile(
    r"^-- name: (?P<name>\w+) :(?P<kind>\w+)\n-- (?P<intent>.+)\n-- params:(?P<params>.*)\n", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Query:
    """One named statement. `params`: (name, PostgreSQL type) for $1, $2, … in order."""

    name: str
    kind: str
    intent: str
    params: tuple[tuple[str, str], ...]
    sql: str


@cache
def load_queries() -> dict[str, Query]:
    """Return all queries by name.

    Raises:
        ValueError: a statement has no proper head, or two have one name.
    """
    queries: dict[str, Query] = {}
    for path in sorted(files(__name__).joinpath("queries").iterdir(), key=lambda entry: entry.name):
        if path.name.endswith(".sql"):
            for query in parse_queries(path.read_text("utf-8")):
                if query.name in queries:
                    raise ValueError(f"two queries are called {query.name}")
                queries[query.name] = query
    return queries


def parse_queries(text: str) -> list[Query]:
    """Split one file into its queries."""
    heads = list(_HEAD.finditer(text))
    if len(heads) != text.count("-- name:"):
        raise ValueError("a query's head must be: name, intent, params")
    queries = []
    for head, end in zip(heads, [match.start() for match in heads[1:]] + [len(text)], strict=True):
        if head["kind"] not in KINDS:
            raise ValueError(f"{head['name']} is neither of {', '.join(KINDS)}")
        pairs = [part.split() for part in head["params"].split(",") if part.strip()]
        params = tuple((name, " ".join(words)) for name, *words in pairs)
        queries.append(Query(head["name"], head["kind"], head["intent"], params, text[head.end() : end].strip()))
    return queries


def read_schema() -> str:
    """Return the whole schema."""
    return files(__name__).joinpath("schema.sql").read_text("utf-8")


def list_migrations() -> list[tuple[str, str]]:
    """Return (file name, SQL) of every migration in the order they apply."""
    folder = files(__name__).joinpath("migrations")
    return sorted((path.name, path.read_text("utf-8")) for path in folder.iterdir() if path.name.endswith(".sql"))
