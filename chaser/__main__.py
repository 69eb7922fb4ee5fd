"""The program: `chaser`, and `python -m chaser`."""

from chaser.cli.program import program


def main() -> None:
    program(prog_name="chaser")


if __name__ == "__main__":
    main()
