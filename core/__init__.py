"""The hexagon: pure domain packages, and `core.application`, which runs them through ports."""
