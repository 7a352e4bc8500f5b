"""Interactive pages: one HTML file each, which needs no network and no server.

What a page shows is computed by tinynet and embedded as JSON (`shell.py` puts the parts together);
the scripts in `assets/` draw it.
"""
