"""MongoDB. The only folder that knows its driver: what leaves it are core's types and core's errors."""

import os

# Motor reads this once, when it is first imported. Its default is 5 threads for each core, and one of them
# sits in the change stream's wait all the time: on a small machine too few are left for everything else.
os.environ.setdefault("MOTOR_MAX_WORKERS", "32")
