"""What all pages share: the one door to state, models and traces, the sidebar, the two columns."""
