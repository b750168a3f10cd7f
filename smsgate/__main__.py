"""`python -m smsgate` is `smsgate`."""

from smsgate.cli import main

if __name__ == "__main__":
    main()
