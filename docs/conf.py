"""How Sphinx makes the site of the docs.

Pages keep their places in the repository, so that each link holds there and on the site.
"""

project = "push-pull lab"
html_title = project
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"

# The folder of the sources is the repository's, as README.md and others are pages too.
root_doc = "docs/site/index"
include_patterns = ["*.md", "docs/**.md", "findings/README.md"]
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
