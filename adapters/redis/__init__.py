"""Redis: a doorbell for several processes on a standalone mongod."""
