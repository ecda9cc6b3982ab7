"""Where the outside comes in: the composition root, the command line, HTTP, streams and workers."""
