"""Supernets, networks and losses; none of them needs ``mmagic.models``."""
