"""How Sphinx builds the documentation: ``python -m sphinx -W docs OUT``, without internet."""

import importlib.metadata
import re

project = "fastmlp"
author = "The fastmlp developers"
copyright = author
release = importlib.metadata.version("fastmlp")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery"]
templates_path = ["_templates"]

html_theme = "pydata_sphinx_theme"
html_title = "fastmlp"
html_show_sourcelink = False
html_theme_options = {
    "github_url": "https://github.com/fastmlp/fastmlp",
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# prompts and what is printed are not copied
copybutton_exclude = ".linenos, .gp, .go"

# of other projects' pages only the entries that ours refer to (inventories/make.py)
intersphinx_mapping = {
    "numpy": ("https://numpy.org/doc/stable/", "inventories/numpy.inv"),
    "sklearn": ("https://scikit-learn.org/stable/", "inventories/sklearn.inv"),
}

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings have the types
maximum_signature_line_length = 88
smartquotes = False  # quotes of values stay as they are typed
numpydoc_show_class_members = False  # the class template lists them
# all checks but those for an extended summary and "See Also"
numpydoc_validation_checks = {"all", "ES01", "SA01"}
numpydoc_validation_exclude = {
    # scikit-learn's own docstrings, which estimators inherit
    r"\.(get|set)_\w+$",
    r"\.fit_transform$",
    r"(?<!fastmlp\.MLPClassifier)(?<!fastmlp\.MLPAutoencoder)\.score$",
    # shown in the examples of the display and of its `from_estimator`
    r"Display\.plot$",
}

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "within_subsection_order": "FileNameSortKey",
    "write_computation_times": False,
    "doc_module": "fastmlp",
    "backreferences_dir": "generated/examples",
}


def link_to_repository(app, page, source):
    """Lead links to files outside of this folder, which have no page, to the repository."""
    there = "https://github.com/fastmlp/fastmlp/blob/main/"
    source[0] = re.sub(r"(?<!!)(\[[^\]]*\]\()\.\./", rf"\1{there}", source[0])


def setup(app):
    """Let Sphinx call the function above."""
    app.connect("source-read", link_to_repository)
