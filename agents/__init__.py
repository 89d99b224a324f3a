"""Agents that act on a verifier's reports. There are none yet."""
