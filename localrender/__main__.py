"""`python -m localrender`."""

import sys

if __name__ == "__main__":
    try:
        from localrender.cli import main

        code = main()
    except ModuleNotFoundError as error:
        print(f"error: {error}\nnext: pip install {error.name}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
