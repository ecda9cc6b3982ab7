"""Commands to MongoDB on the event loop, over connections that the driver opened."""
