"""What a server can be told, checked when it is said."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen
from attrs.validators import deep_iterable

from ..errors import ConfigurationError
from .engines.plugins import EngineSetting

MIB = 1024 * 1024
GIB = 1024 * MIB

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# More than any size, time or number that means something.
_LARGEST = 2**62

_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?")


def _as_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Tell whether *host* is a name or address of this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def as_network(text: str) -> Network | None:
    """Read *text* as an address or a CIDR range; ``None`` when it is a name."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def check_address(name: str, url: str) -> None:
    """Check that *url*, the value of the setting *name*, is an address that holds no secret.

    Raises:
        ConfigurationError: It is not.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0:
        raise ConfigurationError(f"{name}: an address looks like http://127.0.0.1:8000/v1, this one has no host.")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(f"{name}: leave the credentials out of the address and give them as {name}_api_key.")
    if parts.fragment:
        raise ConfigurationError(f"{name}: the address ends in a fragment (#), which is never sent.")


def is_wildcard(host: str) -> bool:
    """Tell whether *host* stands for every address of the machine."""
    address = _as_address(host)
    return address is not None and address.is_unspecified


def _as_path(value: Path | str | None) -> Path | None:
    return None if value is None else Path(value)


def _as_host(value: str) -> str:
    return value.strip().strip("[]").lower()


def _as_names(value: Iterable[str] | str) -> Iterable[str]:
    # A text is iterable too; the validator says what is wrong with it.
    return value if isinstance(value, str) else tuple(str(item).strip().strip("[]").lower() for item in value)


def _check_several(_: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, tuple):
        raise ConfigurationError(f'{attribute.name} takes several names, for example ("files.internal",).')


def _as_tuple(value: Iterable[float]) -> tuple[float, ...]:
    try:
        return tuple(value)
    except TypeError:
        raise ConfigurationError("webhook_pauses takes several numbers, for example (1, 5, 25).") from None


def _number(minimum: float, *, whole: bool = False) -> Callable[[Any, Attribute[Any], Any], None]:
    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if value is None:
            return
        wanted = "a whole number" if whole else "a number"
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise ConfigurationError(f"{attribute.name} has to be {wanted}, not {value!r}.")
        # NaN is not at least anything.
        if not minimum <= value < _LARGEST:
            raise ConfigurationError(f"{attribute.name} has to be {minimum:g} or more, and finite, not {value!r}.")

    return check


@frozen(kw_only=True)
class ServerSettings:
    """Settings of a :class:`~symbl_async.server.Server`.

    Attributes:
        data_dir: Where jobs, conversations and uploads are kept; ``~`` is the user's home. ``None``: a temporary
            folder, removed at close.
        host: Address to listen on. One that other machines can reach needs TLS or *allow_insecure_http*.
        port: 0 picks a free one.
        public_hosts: Names under which other machines, or a proxy, address the server. A request whose ``Host`` is
            neither one of them nor *host* nor a name of this machine is answered 421.
        tls_cert: File with the certificate and those of its issuers (PEM). Needs *tls_key*; the server then speaks
            https only.
        tls_key: File with its key, not encrypted.
        allow_insecure_http: Listen on *host* without TLS although other machines can reach it: secrets and
            recordings can then be read on the way.
        job_limit: Unfinished jobs an account may have before it is answered 429, unless it has a limit of its own.
        workers: Worker processes; ``None``: one per processor that this process may use, fewer where memory does not
            suffice (512 MiB each).
        warm: Start the workers and load their engines with the server, beside its first requests, rather than with the
            first jobs.
        worker_memory: Bytes of address space that a worker may use; a job that takes more fails.
        worker_growth: Bytes that a worker may grow by over its jobs before it is replaced.
        speech: Engine for audio and video: its name, and after a colon a model folder or what else it takes.
            ``http://...`` and ``https://...`` are the base URL of a service with OpenAI's transcription endpoint.
        speech_api_key: For a *speech* engine behind an address: sent to it as bearer token.
        language: Engine for what was said; ``http://...`` and ``https://...`` are the base URL of a service with
            OpenAI's chat endpoint.
        language_api_key: For a *language* engine behind an address.
        diarization: Engine that tells the voices of a recording apart, where a submission asks for it.
        allow_url_hosts: Names, addresses or CIDR ranges that URL jobs and webhooks may reach although they are private.
            Link-local addresses are never reached.
        strict: Refuse unknown members (400) and uploads without a Content-Length (411) instead of tolerating them.
        app_id: Application id of the account. ``None``: the one the data folder knows, or a random one.
        app_secret: Its secret. ``None``: a random one for each start.
        own_app: Make an account up where no *app_id* is given. ``False``: not if the data folder has accounts that
            were added to it (``symbl-async apps add``).
        token_lifetime: Seconds an access token is valid.
        legacy_api_key: Also take the token from the deprecated ``x-api-key`` header.
        max_upload_bytes: Largest recording accepted, uploaded or fetched.
        max_spool_bytes: Most that recordings waiting for their jobs may take together; beyond it uploads are answered
            507. ``None``: as much as the disk has.
        max_text_bytes: Largest body of a text submission.
        max_json_bytes: Largest JSON body elsewhere.
        max_duration: Longest recording accepted, in seconds.
        min_free_bytes: Disk space that uploads leave free; below it they are answered 507.
        max_uploads: Recordings an account may send at once before it is answered 429.
        max_connections: Connections held at once; fewer where the process may not have as many descriptors. Beyond
            it a new one takes the place of the one that has been idle longest.
        header_timeout: Seconds a new connection gets for its TLS handshake and its first request's headers.
        keepalive_timeout: Seconds a connection may be idle between two requests.
        request_timeout: Seconds for any request that sends no recording and does not wait on purpose.
        stall_timeout: Seconds without a byte after which an upload, an answer or a fetch is given up.
        min_upload_rate: Bytes a second that an upload, an answer or a fetch has to reach over each *stall_timeout*.
        fetch_timeout: Seconds a URL job may take to fetch its recording.
        job_timeout: Seconds a worker may spend on one job; ``None``: a minute for texts, and for recordings five
            minutes and twice the length that a file of its size can have.
        keep_media: Keep recordings after processing, as long as their conversation is there.
        retention: Seconds after the end of its last job, or its import, that a conversation is kept with everything
            that came of it; ``None`` keeps it until it is deleted.
        purge_interval: Seconds between two looks for what is to be removed.
        extensions: Offer what goes beyond the documented API: the reason of a failed job, answers that wait for a
            change, idempotency keys.
        managed_entities: Answer entities in the shape of the API's later documents, by kind, instead of the first one.
        access_log: Log each request to ``symbl_async.server.access``, without query, headers and body.
        log_format: How ``symbl-async serve`` writes its log: ``plain`` or ``json``. A program that embeds the server
            sets up logging itself.
        metrics_token: Offer ``/metrics`` to whoever sends this as bearer token; ``None``: there is no such path.
        shutdown_timeout: Seconds that running requests get at close.
        drain_timeout: Seconds that running jobs and webhooks that are due get at close. What is not done then is done
            when a server is started on the same data folder.
        webhook_timeout: Seconds that the receiver of a webhook has to answer.
        webhook_pauses: Seconds between the tries of one webhook; there is one try more than pauses.
    """

    data_dir: Path | None = field(default=None, converter=_as_path)
    host: str = field(default="127.0.0.1", converter=_as_host)
    port: int = field(default=0, validator=_number(0, whole=True))
    public_hosts: tuple[str, ...] = field(default=(), converter=_as_names, validator=_check_several)
    tls_cert: Path | None = field(default=None, converter=_as_path)
    tls_key: Path | None = field(default=None, converter=_as_path)
    allow_insecure_http: bool = False
    job_limit: int = field(default=50, validator=_number(1, whole=True))
    workers: int | None = field(default=None, validator=_number(1, whole=True))
    warm: bool = False
    worker_memory: int = field(default=6 * GIB, validator=_number(1, whole=True))
    worker_growth: int = field(default=512 * MIB, validator=_number(1, whole=True))
    speech: str = field(default="moonshine")
    speech_api_key: str | None = field(default=None, repr=False)
    language: str = field(default="rules")
    language_api_key: str | None = field(default=None, repr=False)
    diarization: str = "d-vectors"
    allow_url_hosts: tuple[str, ...] = field(default=(), converter=_as_names, validator=_check_several)
    strict: bool = False
    app_id: str | None = field(default=None)
    app_secret: str | None = field(default=None, repr=False)
    own_app: bool = True
    token_lifetime: float = field(default=86400.0, validator=_number(1))
    legacy_api_key: bool = True
    max_upload_bytes: int = field(default=8 * GIB, validator=_number(1, whole=True))
    max_spool_bytes: int | None = field(default=None, validator=_number(1, whole=True))
    max_text_bytes: int = field(default=4 * MIB, validator=_number(1024, whole=True))
    max_json_bytes: int = field(default=MIB, validator=_number(1024, whole=True))
    max_duration: float = field(default=4 * 3600.0, validator=_number(1))
    min_free_bytes: int = field(default=256 * MIB, validator=_number(0, whole=True))
    max_uploads: int = field(default=64, validator=_number(1, whole=True))
    max_connections: int = field(default=2048, validator=_number(8, whole=True))
    header_timeout: float = field(default=5.0, validator=_number(0.01))
    keepalive_timeout: float = field(default=15.0, validator=_number(0.01))
    request_timeout: float = field(default=120.0, validator=_number(0.01))
    stall_timeout: float = field(default=60.0, validator=_number(0.01))
    min_upload_rate: float = field(default=1024.0, validator=_number(0))
    fetch_timeout: float = field(default=3600.0, validator=_number(0.01))
    job_timeout: float | None = field(default=None, validator=_number(0.01))
    keep_media: bool = False
    retention: float | None = field(default=None, validator=_number(0))
    purge_interval: float = field(default=600.0, validator=_number(0.01))
    extensions: bool = True
    managed_entities: bool = False
    access_log: bool = False
    log_format: str = field(default="plain")
    metrics_token: str | None = field(default=None, repr=False)
    shutdown_timeout: float = field(default=5.0, validator=_number(0))
    drain_timeout: float = field(default=1.0, validator=_number(0))
    webhook_timeout: float = field(default=10.0, validator=_number(0.01))
    webhook_pauses: tuple[float, ...] = field(
        default=(1.0, 5.0, 25.0, 125.0), converter=_as_tuple, validator=deep_iterable(_number(0))
    )

    def __attrs_post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigurationError("tls_cert and tls_key belong together: give both, or neither.")
        if is_loopback(self.host):
            return
        if self.tls_cert is None and not self.allow_insecure_http:
            raise ConfigurationError(
                f"Other machines can reach {self.host!r}, and without TLS secrets and recordings could be read on the "
                "way: give tls_cert and tls_key, or keep a loopback host behind a proxy that does TLS, or say "
                "allow_insecure_http if the network is yours."
            )
        if is_wildcard(self.host) and not self.public_hosts:
            raise ConfigurationError(
                f"With host {self.host!r} name the hosts that clients use in public_hosts; requests for others are "
                "refused."
            )

    @host.validator
    def _check_host(self, _: Attribute[str], value: str) -> None:
        if value != "localhost" and _as_address(value) is None:
            raise ConfigurationError(
                f"host has to be an IP address of this machine or localhost, such as the loopback address 127.0.0.1, "
                f"not {value!r}."
            )

    @public_hosts.validator
    def _check_public_hosts(self, _: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
        for item in value:
            if _as_address(item) is None and not _HOST_NAME.fullmatch(item):
                raise ConfigurationError(f"public_hosts: {item!r} is no host name; leave out scheme and port.")

    @log_format.validator
    def _check_log_format(self, _: Attribute[str], value: str) -> None:
        if value not in ("plain", "json"):
            raise ConfigurationError(f"log_format has to be plain or json, not {value!r}.")

    @port.validator
    def _check_port(self, _: Attribute[int], value: int) -> None:
        if value > 65535:
            raise ConfigurationError(f"port has to be at most 65535, not {value!r}.")

    @allow_url_hosts.validator
    def _check_hosts(self, _: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
        for item in value:
            network = as_network(item)
            if network is None and not _HOST_NAME.fullmatch(item):
                raise ConfigurationError(f"allow_url_hosts: {item!r} is neither a host name nor an address or range.")
            if network is not None and network.is_link_local:
                raise ConfigurationError(f"allow_url_hosts: {item!r} is link-local, which URL jobs may never reach.")

    @speech.validator
    @language.validator
    def _check_engine(self, attribute: Attribute[str], value: str) -> None:
        setting = EngineSetting.parse(value)
        if setting.is_remote:
            check_address(attribute.name, setting.url)

    @app_id.validator
    @app_secret.validator
    @speech_api_key.validator
    @language_api_key.validator
    @metrics_token.validator
    def _check_credential(self, attribute: Attribute[Any], value: str | None) -> None:
        if value is not None and (not value or len(value) > 512 or not value.isprintable()):
            raise ConfigurationError(f"{attribute.name} has to be 1 to 512 printable characters.")
