"""I/O: what a careful person would write in an afternoon with the two libraries: the measure for our own engine.

Reads mailboxes as JSON lines `{"email", "password", "smtp_port", "imap_port"}` from standard input, logs in to
127.0.0.1 over implicit TLS (SMTP) and implicit TLS (IMAP), LISTs and EXAMINEs, and prints one JSON line:
`{"ok", "failed", "seconds", "cpu_seconds", "peak_mb"}`.

Usage: python -m tests.bench.bare_script AUTHORITY.pem CONCURRENCY [uvloop] < MAILBOXES
"""

import asyncio
import json
import resource
import ssl
import sys
import time

import aiosmtplib
import uvloop
from aioimaplib import aioimaplib

HOST = "localhost"


async def check_smtp(mailbox: dict[str, str], context: ssl.SSLContext) -> bool:
    """Log in once over SMTP; one AUTH PLAIN, as our own engine does."""
    client = aiosmtplib.SMTP(
        hostname=HOST,
        port=int(mailbox["smtp_port"]),
        use_tls=True,
        tls_context=context,
        timeout=60,
        local_hostname="bench.example.com",
    )
    try:
        await client.connect()
        await client.ehlo()
        await client.auth_plain(mailbox["email"], mailbox["password"])
        await client.quit()
    except aiosmtplib.SMTPException:
        client.close()
        return False
    return True


async def check_imap(mailbox: dict[str, str], context: ssl.SSLContext) -> bool:
    """Log in once over IMAP, then LIST and EXAMINE."""
    client = aioimaplib.IMAP4_SSL(host=HOST, port=int(mailbox["imap_port"]), ssl_context=context, timeout=60)
    await client.wait_hello_from_server()
    answer = await client.login(aioimaplib.quoted(mailbox["email"]), mailbox["password"])
    if answer.result == "OK":
        await client.list('""', "*")
        await client.examine("INBOX")
    await client.logout()
    return bool(answer.result == "OK")


async def run(authority: str, concurrency: int) -> dict[str, float]:
    """Check every mailbox of standard input, `concurrency` at a time."""
    mailboxes = [json.loads(line) for line in sys.stdin]
    context = ssl.create_default_context(cafile=authority)
    slots = asyncio.Semaphore(concurrency)

    async def check(mailbox: dict[str, str]) -> bool:
        async with slots:
            return all(await asyncio.gather(check_smtp(mailbox, context), check_imap(mailbox, context)))

    started = time.perf_counter()
    before = time.process_time()
    results = await asyncio.gather(*map(check, mailboxes))
    return {
        "ok": sum(results),
        "failed": len(results) - sum(results),
        "seconds": round(time.perf_counter() - started, 3),
        "cpu_seconds": round(time.process_time() - before, 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


if __name__ == "__main__":
    work = run(sys.argv[1], int(sys.argv[2]))
    result = uvloop.run(work) if "uvloop" in sys.argv[3:] else asyncio.run(work)
    sys.stdout.write(json.dumps(result) + "\n")
