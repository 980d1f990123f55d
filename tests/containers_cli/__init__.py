"""Containers, through the installed command."""
