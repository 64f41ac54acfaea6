"""``python -m components.serving NAME``: the model server as a process of its own."""

from components.serving.server import main

if __name__ == "__main__":
    main()
