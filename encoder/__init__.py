"""Everything of Encoder Lens that is not Streamlit: models, traces, measures, figures."""
