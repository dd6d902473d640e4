"""Start Streamlit with our settings alone: python -m dashboard.server.launch run ...

A config.toml of the current folder or of the user, meant for other apps, could move our routes to
where the gate lets everybody pass. (Variables STREAMLIT_* are taken out by ``serve``.)
"""

import sys

from streamlit import config
from streamlit.web.cli import main


def _no_files(_: str) -> list[str]:
    return []


if __name__ == "__main__":
    config.get_config_files = _no_files  # type: ignore[assignment]  # names no file
    sys.exit(main())
