"""Ephemeral runners and throwaway sandboxes."""

__version__ = "0.1.0"
