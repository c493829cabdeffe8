"""Models that are not on this machine yet: what they need, one click to fetch them, and how far that is."""

import streamlit as st

from encoder import hub
from encoder.catalogue import Entry
from pages.shared import prose
from pages.shared.state import Side


def is_here(repo: str) -> bool:
    """Whether a repository of the Hub has been downloaded already. Asks the disk only."""
    return hub.cached(repo) is not None


def _watch(side: Side, entry: Entry) -> None:
    assert entry.repo is not None
    job = hub.running(entry.repo)
    if job is None or job.error:
        if job is not None and job.error:
            st.warning(prose.plain(job.error), icon=":material/cloud_off:")
        _button(side, entry)
    elif job.finished and is_here(entry.repo):
        st.rerun()  # the whole page can be drawn now
    elif job.finished:
        _button(side, entry)
    else:
        share = min(1.0, job.received / job.total) if job.total else 0.0
        size = f"{job.received / 1e6:,.0f} of {job.total / 1e6:,.0f} MB" if job.total else "asking the Hub"
        st.progress(share, f"Downloading {prose.plain(entry.label)}: {size}")


def offer(side: Side, entry: Entry) -> None:
    """Say what the model needs; a click starts the download, which everybody who chose the model sees."""
    st.markdown(f"{prose.plain(entry.label)} is not on this machine yet. {prose.plain(entry.about)}")
    st.caption("It needs the internet once, for the download. All other models go on working without.")
    assert entry.repo is not None
    job = hub.running(entry.repo)
    # Only a download that is under way is worth asking about twice a second.
    under_way = job is not None and not job.finished
    st.fragment(_watch, run_every=0.5 if under_way else None)(side, entry)


def _button(side: Side, entry: Entry) -> None:
    assert entry.repo is not None
    st.button(
        f"Download {prose.plain(entry.label)}", key=f"download-{side}", icon=":material/download:",
        on_click=_start, args=(entry.repo,),
    )  # fmt: skip


def _start(repo: str) -> None:
    hub.start_download(repo)
