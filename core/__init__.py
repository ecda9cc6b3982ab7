"""The domain, pure: the alarm's rules and the machines around its log, without clock, ids or I/O."""
