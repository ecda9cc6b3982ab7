"""MongoDB. Only this folder imports its driver; it returns core's types and raises core's errors."""

import os

# Motor reads this when it is first imported. Its default is 5 threads for each core, one of which always
# waits for the change stream: on a small machine too few are left for everything else.
os.environ.setdefault("MOTOR_MAX_WORKERS", "32")
