"""Models that are not on this machine yet: what they need, one click to fetch them, and how far that is."""

import streamlit as st

from encoder import hub
from encoder.catalogue import Entry
from pages.shared import prose
from pages.shared.state import Side


def is_here(repo: str) -> bool:
    """Whether a repository of the Hub has been downloaded already. Asks the disk only."""
    return hub.cached(repo) is not None


def offer(side: Side, entry: Entry) -> None:
    """Say what the model needs; a click starts the download, which everybody who chose the model sees."""
    st.markdown(f"{prose.plain(entry.label)} is not on this machine yet. {prose.plain(entry.about)}")
    st.caption("It needs the internet once, for the download. All other models go on working without.")
    assert entry.repo is not None
    job = hub.running(entry.repo)
    if job is not None and not job.finished:
        _watch(entry)
        return
    if job is not None and job.error:
        st.warning(prose.plain(job.error), icon=":material/cloud_off:")
    _button(side, entry)  # outside the fragment: the click must run the whole page, or nothing would start its clock


@st.fragment(run_every=0.5)
def _watch(entry: Entry) -> None:
    assert entry.repo is not None
    job = hub.running(entry.repo)
    if job is None or job.finished:
        st.rerun()  # the whole page: it can be drawn now, or says why not
    share = min(1.0, job.received / job.total) if job.total else 0.0
    size = f"{job.received / 1e6:,.0f} of {job.total / 1e6:,.0f} MB" if job.total else "asking the Hub"
    st.progress(share, f"Downloading {prose.plain(entry.label)}: {size}")


def _button(side: Side, entry: Entry) -> None:
    assert entry.repo is not None
    st.button(
        f"Download {prose.plain(entry.label)}", key=f"download-{side}", icon=":material/download:",
        on_click=_start, args=(entry.repo,),
    )  # fmt: skip


def _start(repo: str) -> None:
    hub.start_download(repo)
