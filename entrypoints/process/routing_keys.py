"""Maps routing keys to tenants."""

from pathlib import Path

from core.errors import StartupRefused
from entrypoints.http.state import TenantOf


def tenant_of_routing_key(setting: str, default: str | None) -> TenantOf:
    """Return the function that maps a routing key to its tenant.

    `setting` is `key=tenant,key=tenant` or the path of a file with one `key=tenant` a line; if it is empty,
    every key stands for `default`.

    Raises:
        StartupRefused: `setting` is none of these.
    """
    if not setting:
        return lambda _: default
    tenants = dict(_pair(line) for line in _lines(setting))
    if not tenants:
        raise StartupRefused("the PagerDuty keys name no key at all")
    return tenants.get


def _lines(setting: str) -> list[str]:
    if "=" in setting:
        lines = setting.split(",")
    else:
        try:
            lines = Path(setting).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise StartupRefused(f"the PagerDuty keys cannot be read from a file: {error}") from None
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _pair(line: str) -> tuple[str, str]:
    key, _, tenant = (part.strip() for part in line.partition("="))
    if not key or not tenant:
        # The message omits the line, which may be a key: a secret.
        raise StartupRefused("the PagerDuty keys are written key=tenant")
    return key, tenant
