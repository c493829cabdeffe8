"""Encoder Lens: type a sentence and watch two encoders read it side by side. Start with `make run`."""

import streamlit as st

from pages.shared import prose, sidebar, state, warm


def pages() -> st.Page:
    """The pages. Each url_path differs from its file's name, or Streamlit would run a deep link without this frame."""
    return st.navigation(
        [
            st.Page("pages/side_by_side.py", title="Side by side", url_path="side-by-side", default=True),
            st.Page("pages/embeddings.py", title="Embeddings", url_path="token-embeddings"),
            st.Page("pages/attention.py", title="Attention", url_path="attention-heads"),
            st.Page("pages/feed_forward.py", title="Feed-forward", url_path="feed-forward"),
            st.Page("pages/step_by_step.py", title="Step by step", url_path="inside-a-layer"),
            st.Page("pages/what_if.py", title="What if", url_path="what-if"),
            st.Page("pages/layers.py", title="Layers", url_path="all-layers"),
            st.Page("pages/train.py", title="Train", url_path="train-live"),
        ],
        position="top",
    )


if __name__ == "__main__":  # Streamlit runs this file at every turn of every learner
    st.set_page_config(page_title="Encoder Lens", page_icon="assets/icon.png", layout="wide")
    st.logo(f"assets/logo{'-dark' if st.context.theme.type == 'dark' else ''}.svg", size="large")
    prose.style()
    state.synchronise()  # first: told of the page before its address, the browser would remember it twice, once without
    page = pages()
    sidebar.question()
    page.run()
    sidebar.devices()
    with st.container(key="ready"):  # the end of the page, for whoever waits for it
        st.caption("Encoder Lens · every number on this page was computed on this machine.")
        state.expect_answer()
else:  # and imports it once, as a server
    warm.announce(pages)
    app = st.App(__file__, lifespan=warm.up)
