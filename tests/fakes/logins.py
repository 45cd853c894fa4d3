"""Pure: what servers do when it comes to the login, and after it."""

import base64
from typing import Final

from app.codes import Code
from tests.fakes.acts import answer_in_reverse, answer_last, insist
from tests.fakes.behaviour import NONE, PASSWORD, STARTTLS, UNDER_TLS, USERNAME, Behaviour, Scene, Script
from tests.fakes.scripted import Do, Step

_WRONG: Final = Code.INVALID_CREDENTIALS
_NONSENSE: Final = Code.PROTOCOL_ERROR
_NO_LOGIN: Final = Code.AUTH_MECHANISM_UNSUPPORTED
_LATER: Final = Code.TEMPORARY_SERVER_ERROR

_ECHO: Final = PASSWORD.encode()
_ECHO_CODED: Final = base64.b64encode(f"\0{USERNAME}\0{PASSWORD}".encode())
_TOKEN_REFUSED: Final = base64.b64encode(b'{"status":"400","schemes":"Bearer","scope":"https://mail.example.com/"}')


def _offers(*words: tuple[bytes, bytes]) -> Script:
    """Offer these logins, each as SMTP and as IMAP write it, and wait."""
    return lambda scene: [*scene.ready(*(scene.pick(*word) for word in words)), Do.HANG]


def _answers(smtp: bytes, imap: bytes, *more: Step) -> Script:
    """Answer the login, and talk on as a server would."""
    last = more or ("", Do.READ)
    return lambda scene: [*scene.asked(), scene.pick(smtp, imap) + b"\r\n", *last]


def _only_in_clear(scene: Scene) -> list[Step]:
    offers = scene.offers(b"STARTTLS", scene.logins)
    no_logins = scene.offers(scene.pick(b"SIZE 1", b"LOGINDISABLED"))
    return [*scene.consented()[:2], offers, *scene.consented()[3:], Do.STARTTLS, scene.hello, no_logins, Do.HANG]


def _selects(answer: bytes) -> Script:
    """Know no EXAMINE, and answer SELECT so."""
    refusal: Step = b"TAG BAD unknown command\r\n"
    return lambda scene: [*scene.inside(), "LIST", b"TAG OK listed\r\n", "EXAMINE", refusal, "SELECT", answer + b"\r\n"]


def _takes_a_token(scene: Scene, *more: Step) -> list[Step]:
    offers = scene.pick(b"AUTH XOAUTH2", b"SASL-IR AUTH=XOAUTH2")
    challenge = scene.pick(b"334 ", b"+ ") + _TOKEN_REFUSED + b"\r\n"
    return [*scene.ready(offers), scene.pick(b"AUTH XOAUTH2", b"AUTHENTICATE XOAUTH2").decode(), challenge, *more]


def _refuses_a_token(scene: Scene) -> list[Step]:
    no = scene.pick(b"535 5.7.8 Username and Password not accepted\r\n", b"TAG NO [AUTHENTICATIONFAILED] Invalid\r\n")
    return _takes_a_token(scene, answer_last(no), Do.HANG)


def _opens(listed: bytes, opened: bytes) -> Script:
    return lambda scene: [*scene.inside(), *scene.folders(listed + b"\r\n", opened + b"\r\n")]


LOGINS: Final = (
    Behaviour("takes logins in clear only", _only_in_clear, _NO_LOGIN, _NO_LOGIN, ways=(STARTTLS,)),
    Behaviour(
        "takes logins under TLS only",
        _offers((b"STARTTLS", b"STARTTLS LOGINDISABLED")),
        Code.TLS_REQUIRED,
        Code.TLS_REQUIRED,
        ways=(NONE,),
    ),
    Behaviour("takes no logins", _offers((b"SIZE 1", b"LOGINDISABLED")), _NO_LOGIN, _NO_LOGIN, ways=UNDER_TLS),
    Behaviour(
        "takes only logins that nobody knows",
        _offers((b"AUTH GSSAPI NTLM X-SECRET", b"AUTH=GSSAPI AUTH=NTLM LOGINDISABLED")),
        _NO_LOGIN,
        _NO_LOGIN,
        ways=UNDER_TLS,
    ),
    Behaviour(
        "takes passwords where a token is at hand",
        _offers((b"AUTH PLAIN LOGIN", b"AUTH=PLAIN")),
        _NO_LOGIN,
        _NO_LOGIN,
        is_token=True,
    ),
    Behaviour(
        "says no",
        _answers(b"535 5.7.8 Error: authentication failed", b"TAG NO [AUTHENTICATIONFAILED] Authentication failed."),
        _WRONG,
        _WRONG,
        1,
    ),
    Behaviour(
        "says no in many lines",
        _answers(
            b"535-5.7.8 Username and Password not accepted.\r\n535-5.7.8 Really not.\r\n535 5.7.8 See the manual.",
            b"* NO [ALERT] Think again.\r\nTAG NO [AUTHENTICATIONFAILED] Invalid credentials",
        ),
        _WRONG,
        _WRONG,
        1,
    ),
    Behaviour(
        "says no and hangs up",
        _answers(b"535 5.7.8 Authentication failed", b"TAG NO [AUTHENTICATIONFAILED] Authentication failed", Do.CLOSE),
        _WRONG,
        _WRONG,
        1,
    ),
    Behaviour(
        "says no and resets",
        _answers(b"535 5.7.8 Authentication failed", b"TAG NO [AUTHENTICATIONFAILED] No", "", Do.RESET),
        _WRONG,
        _WRONG,
        1,
    ),
    Behaviour(
        "quotes the password",
        _answers(b"535 5.7.8 no user with " + _ECHO, b"TAG NO [AUTHENTICATIONFAILED] no user with " + _ECHO),
        _WRONG,
        _WRONG,
        1,
    ),
    Behaviour(
        "quotes the login",
        _answers(b"535 5.7.8 bad: " + _ECHO_CODED, b"* NO " + _ECHO_CODED + b"\r\nTAG NO [AUTHENTICATIONFAILED] bad"),
        _WRONG,
        _WRONG,
        1,
    ),
    Behaviour(
        "says later",
        _answers(b"454 4.7.0 Temporary authentication failure", b"TAG NO [UNAVAILABLE] Temporary failure"),
        _LATER,
        _LATER,
        1,
    ),
    Behaviour(
        "says later and hangs up",
        _answers(
            b"421 4.3.0 Temporary system problem. Try again later", b"* BYE Temporary system problem. Try again later"
        ),
        _LATER,
        _LATER,
        1,
    ),
    Behaviour(
        "says goodbye and no",
        _answers(b"421 4.7.0 Too many connections", b"* BYE Too many connections\r\nTAG NO too many", Do.CLOSE),
        Code.TOO_MANY_CONNECTIONS,
        Code.TOO_MANY_CONNECTIONS,
        1,
    ),
    Behaviour("says goodbye without a word", _answers(b"", b"* BYE", Do.CLOSE), None, Code.AUTH_NO_ANSWER, 1),
    Behaviour(
        "wants TLS when it is asked",
        _answers(b"530 5.7.0 Must issue a STARTTLS command first", b"TAG NO [PRIVACYREQUIRED] Plaintext disallowed"),
        Code.TLS_REQUIRED,
        Code.TLS_REQUIRED,
        1,
        ways=(NONE,),
    ),
    Behaviour(
        "offers what it does not know",
        _answers(b"504 5.5.4 Unrecognized authentication type", b"TAG NO Unsupported authentication mechanism."),
        _NO_LOGIN,
        _NO_LOGIN,
        1,
    ),
    Behaviour("answers the login with 250", _answers(b"250 2.0.0 Ok", b""), _NONSENSE, None, 1),
    Behaviour("answers the login with BAD", _answers(b"501 5.5.2 Cannot decode", b"TAG BAD what"), None, _NONSENSE, 1),
    Behaviour(
        "refuses a token", _refuses_a_token, Code.OAUTH_TOKEN_INVALID, Code.OAUTH_TOKEN_INVALID, 1, is_token=True
    ),
    Behaviour(
        "challenges a token without end",
        lambda scene: _takes_a_token(scene, insist),
        _NONSENSE,
        _NONSENSE,
        1,
        is_token=True,
    ),
    Behaviour(
        "challenges a token and falls silent",
        lambda scene: _takes_a_token(scene, Do.HANG),
        Code.AUTH_NO_ANSWER,
        Code.AUTH_NO_ANSWER,
        1,
        is_token=True,
    ),
    Behaviour("lists nothing", _opens(b"TAG NO not allowed", b"TAG OK opened"), None, Code.OK, 1),
    Behaviour(
        "opens no folder",
        _opens(b"TAG OK listed", b"TAG NO [NONEXISTENT] Mailbox does not exist"),
        None,
        Code.MAILBOX_UNAVAILABLE,
        1,
    ),
    Behaviour(
        "opens no folder to strangers",
        _opens(b"TAG OK listed", b"TAG NO EXAMINE Unsafe Login. Please contact kefu@188.com for help"),
        None,
        Code.WEB_LOGIN_REQUIRED,
        1,
    ),
    Behaviour("takes the last command first", lambda scene: [*scene.inside(), answer_in_reverse], None, Code.OK, 1),
    Behaviour("opens a folder and says BAD", _selects(b"TAG BAD what"), None, _NONSENSE, 1),
    Behaviour("knows SELECT only", _selects(b"TAG OK opened"), None, Code.OK, 1),
    Behaviour(
        "says goodbye in the folders",
        lambda scene: [*scene.inside(), "LIST", b"* BYE [UNAVAILABLE] Too busy\r\n", Do.CLOSE],
        None,
        _LATER,
        1,
    ),
)
