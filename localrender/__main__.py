"""`python -m localrender`."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:  # the folder where we are is a product's, which may have an `http.py` of its own
        sys.path.append(sys.path.pop(0))
    try:
        from localrender.cli import main

        code = main()
    except ModuleNotFoundError as error:
        print(f"error: {error}\nnext: pip install {error.name}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
