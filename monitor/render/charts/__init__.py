"""Charts as figures of Plotly: plain dictionaries with `data` and `layout`, the same for every page that shows them."""
