"""Sphinx's settings for the book. Everything a page needs lies beside it: nothing is fetched from elsewhere."""

project = "vosedu"
author = "the vosedu authors"
copyright = "the vosedu authors, Apache License 2.0"
language = "en"

extensions = ["myst_nb", "sphinx.ext.mathjax", "sphinx_copybutton"]
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "attrs_inline"]
myst_heading_anchors = 3
myst_dmath_double_inline = True
myst_links_external_new_tab = False

html_theme = "furo"
html_title = "Video object segmentation, learned online"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_js_files = [("scrub.js", {"defer": "defer"}), "search.js"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": False}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

mathjax_path = "mathjax/tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False, "processHtmlClass": "tex2jax_process|mathjax_process|math|output_area"},
                   "svg": {"fontCache": "global"}}
mathjax_options = {"defer": "defer"}
