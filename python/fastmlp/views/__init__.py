"""A network as text, HTML, SVG; knows values only."""
