"""Pictures: arrays and tokens in, a Plotly figure or a small image out. One module a page."""
