"""What all pages share: the one door to state, models and traces, the sidebar, the two columns."""

# pandas and pyarrow import each other. Were they first imported by two learners' threads at the same moment, one
# starting from either end, each would find the other half made; here everybody waits for the first one.
import pandas  # noqa: F401
