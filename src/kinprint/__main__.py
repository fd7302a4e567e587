"""`python -m kinprint`: the command line."""

from kinprint.cli import main

if __name__ == "__main__":
    main()
