"""uvicorn's protocols, with a way to write what was made once for many connections."""
