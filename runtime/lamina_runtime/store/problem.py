"""What check() reports."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something that is not as it should be; kinds are for scripts, the text is for people.

    blob-damaged, blob-missing, image-damaged, index-damaged, layer-damaged, layer-missing,
    metadata-damaged, reference-damaged, reference-dangling; and stray, which is
    what a crash leaves and the next collect() removes.
    """

    kind: str
    what: str  # a digest, a name, or a path
    text: str
