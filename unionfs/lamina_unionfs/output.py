"""Answers on stdout; the only place that prints."""


def line(text: str) -> None:
    """Print one line; bytes of names that are not UTF-8 come out as they are."""
    print(text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
