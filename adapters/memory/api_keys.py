"""API keys in memory, for tests."""

from collections.abc import Sequence

from core.access.ports import API_KEYS, TOO_MANY_API_KEYS, ApiKey
from core.errors import Refused


class MemoryApiKeys:
    """The API keys (see core.access.ports.ApiKeys) in a dict."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}

    async def add(self, key: ApiKey) -> None:
        """Store a new key. Raises Refused: the tenant has too many."""
        if len(await self.of_tenant(key.tenant)) >= API_KEYS:
            raise Refused(TOO_MANY_API_KEYS, f"a tenant has at most {API_KEYS} API keys")
        self._keys[key.id] = key

    async def find(self, key_id: str) -> ApiKey | None:
        """Return the key, of any tenant; None if there is none (any more)."""
        return self._keys.get(key_id)

    async def of_tenant(self, tenant: str) -> Sequence[ApiKey]:
        """Return all keys of a tenant, the oldest first."""
        return sorted((key for key in self._keys.values() if key.tenant == tenant), key=lambda key: key.id)

    async def remove(self, tenant: str, key_id: str) -> None:
        """Remove a key, if it is there."""
        key = self._keys.get(key_id)
        if key is not None and key.tenant == tenant:
            del self._keys[key_id]
