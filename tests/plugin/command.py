"""`python -m tests.plugin.command ARGUMENTS`: the command line with the plug-in loaded."""

import tests.plugin.steps  # noqa: F401 - registers

from underlay.cli.main import main

if __name__ == "__main__":
    main()
