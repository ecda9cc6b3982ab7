"""The `api_keys` and `revocations` collections."""
