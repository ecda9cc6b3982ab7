"""uvicorn's protocols, extended to write bytes that were made once for many connections."""
