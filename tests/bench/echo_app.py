"""The least a Streamlit app can do with a text: give it back. What it costs is the floor for ours."""

import streamlit as st

st.title("Echo")
text = st.sidebar.text_area("Text", "The cat sat on the mat.", key="text")
st.text(text)
