"""The ends of help pages."""


def examples(*lines: str) -> str:
    """Return an epilog of command lines that work as they stand; click leaves its line ends alone."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
