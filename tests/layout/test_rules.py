"""Rules that a careless line would break: where secrets are opened, where SQL stands, who reads the environment."""

import ast
import re

from tests.layout.code import modules, of

OPENERS = {"app/login/smtp.py", "app/login/imap.py", "app/seal.py"}
ENVIRONMENT_READERS = {"app/settings.py", "app/cli/root.py"}
CATCH_ALLS = {"app/login/check.py", "app/api/main.py", "jobs/worker.py"}
SQL_ALLOWED = {
    "app/store/migrate.py",  # the ledger of migrations and its lock exist before any schema
    "app/store/db.py",  # "SELECT true": is anybody there
}

_STATEMENT = re.compile(
    r"^\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s*\(|COPY\s+\w+\s|CREATE\s+TABLE\s)",
    re.IGNORECASE,
)


def test_secrets_are_opened_in_three_places() -> None:
    found = {
        module.place
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr == "reveal"
    }
    assert found - OPENERS == set()


def test_sql_stands_in_sql() -> None:
    found = {
        f"{module.place}:{text.lineno}"
        for module in modules()
        if module.place not in SQL_ALLOWED
        for text in module.strings()
        if _STATEMENT.match(str(text.value))
    }
    assert found == set()


def test_the_environment_is_read_at_the_entry_alone() -> None:
    found = {
        module.place
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and node.attr in {"environ", "getenv", "environb"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    }
    assert found - ENVIRONMENT_READERS == set()


def test_catch_alls_stand_in_three_places() -> None:
    found = {
        f"{module.place}:{node.lineno}"
        for module in modules()
        if module.place not in CATCH_ALLS
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}))
        and not _raises_again(node)
    }
    assert found == set()


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise)


def test_aiosmtplib_may_not_choose_mechanisms_itself() -> None:
    """Its `login` tries one after another: a wrong password would be three failed logins."""
    found = {
        f"{module.place}:{node.lineno}"
        for module in modules()
        if of(module, "app.login")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "login"
    }
    assert found == set()


def test_imap_greetings_are_not_waited_for_by_the_library() -> None:
    """Its `wait_hello_from_server` can hang for ever."""
    assert [module.place for module in modules() if "wait_hello_from_server(" in module.text] == []


def test_no_pickle() -> None:
    assert [module.place for module in modules() if "pickle" in module.imports()] == []


def test_certificates_are_not_checked_in_one_place_only() -> None:
    found = {module.place for module in modules() if "CERT_NONE" in module.text}
    assert found <= {"app/login/tls.py"}


def test_nothing_is_left_unfinished() -> None:
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError")
    assert [module.place for module in modules() if words.search(module.text)] == []


def test_exceptions_to_the_rules_give_a_reason() -> None:
    bare = re.compile(r"# (noqa: [A-Z0-9, ]+|type: ignore\[[\w, -]+\])\s*$|# noqa\s*$|# type: ignore\s*$")
    found = []
    for module in modules():
        lines = module.text.splitlines()
        for number, line in enumerate(lines, 1):
            # The line before may give the reason for several.
            before = lines[number - 2].strip() if number > 1 else ""
            if bare.search(line) and not before.startswith("#") and "noqa" not in before:
                found.append(f"{module.place}:{number}")
    assert found == []


def test_addresses_of_people_are_in_no_log_line() -> None:
    fields = {"email", "address", "username", "user_name", "password", "secret", "token", "credential"}
    levels = {"debug", "info", "warning", "error", "exception", "critical"}
    found = [
        f"{module.place}:{node.lineno}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in levels
        and any(keyword.arg in fields for keyword in node.keywords)
    ]
    assert found == []
