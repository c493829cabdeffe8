"""A visitor without a browser: Streamlit's own messages over a websocket, as its page would send them.

Follows streamlit/proto/BackMsg.proto and ForwardMsg.proto and, for the messages that the server sends
only once and then names by their hash, the page's ForwardMsgCache.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.TextArea_pb2 import TextArea
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

PATIENCE = 60  # seconds for one script run


@dataclass
class Turn:
    """What one script run cost: seconds from sending to its end, bytes received, errors it showed."""

    seconds: float = 0.0
    received: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass
class Visitor:
    """One open tab. Made by `visit`."""

    socket: ClientConnection
    path: str
    first: Turn = field(default_factory=Turn)
    pages: dict[str, str] = field(default_factory=dict)  # url path → title, in the app's order
    _query: str = ""
    _script: str = ""
    _texts: dict[str, TextArea] = field(default_factory=dict)  # widget id → widget, in order of appearance
    _cached: dict[str, int] = field(default_factory=dict)  # message hash → run that last used it
    _runs: int = 0
    _oldest: int = 2  # runs that an unused message is kept, told by the server

    async def type(self, text: str) -> Turn:
        """Put a text into the app's text area and wait until the script has finished with it.

        Raises LookupError when the page shows no text area.
        """
        if not self._texts:
            raise LookupError(f"no text area on /{self.path}")
        named = [area for name, area in self._texts.items() if name.endswith("text")]  # ids end in the widget's key
        area = (named or list(self._texts.values()))[0]
        message = self._rerun()
        state = message.rerun_script.widget_states.widgets.add()
        state.id, state.string_value = area.id, text
        if area.query_param_key:  # the page keeps bound widgets in its address
            self._query = urlencode({**dict(parse_qsl(self._query)), area.query_param_key: text})
            message.rerun_script.query_string = self._query
        return await self._turn(message)

    def _rerun(self) -> BackMsg:
        message = BackMsg()
        run = message.rerun_script
        run.query_string, run.page_script_hash = self._query, self._script
        if not self._script:  # a fresh tab knows its address only
            run.page_name = self.path
        run.cached_message_hashes.extend(self._cached)
        return message

    async def _turn(self, message: BackMsg) -> Turn:
        """Send one message and take in what comes back. Raises TimeoutError when the script does not end."""
        turn, start, finished = Turn(), time.perf_counter(), False
        async with asyncio.timeout(PATIENCE):
            await self.socket.send(message.SerializeToString())
            while not finished:
                payload = await self.socket.recv(decode=False)
                turn.seconds = time.perf_counter() - start
                turn.received += len(payload)
                answer = ForwardMsg.FromString(payload)
                self._note(answer, turn)
                # A script that asks to be run again has not finished its turn.
                early = answer.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN
                finished = answer.WhichOneof("type") == "script_finished" and not early
        if answer.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
            turn.errors.append("compile error")
        self._forget()
        return turn

    def _note(self, answer: ForwardMsg, turn: Turn) -> None:
        """Take from one message what later ones need, as the page would."""
        kind = answer.WhichOneof("type")
        if answer.metadata.cacheable:
            self._cached[answer.hash] = self._runs
        if kind == "ref_hash":
            if answer.ref_hash not in self._cached:
                turn.errors.append("named a message that was never sent")
            self._cached[answer.ref_hash] = self._runs
        elif kind == "new_session":
            self._oldest = answer.new_session.config.max_cached_message_age or self._oldest
            self._script = answer.new_session.page_script_hash
        elif kind == "navigation":
            self._script = answer.navigation.page_script_hash
            self.pages = {page.url_pathname: page.page_name for page in answer.navigation.app_pages}
        elif kind == "page_info_changed":
            self._query = answer.page_info_changed.query_string
        elif kind == "page_not_found":
            turn.errors.append(f"no page /{self.path}")
        elif kind == "delta" and answer.delta.WhichOneof("type") == "new_element":
            element = answer.delta.new_element
            if element.WhichOneof("type") == "exception":
                turn.errors.append(f"{element.exception.type}: {element.exception.message}")
            elif element.WhichOneof("type") == "text_area":
                self._texts[element.text_area.id] = element.text_area

    def _forget(self) -> None:
        self._runs += 1
        self._cached = {name: used for name, used in self._cached.items() if self._runs - used <= self._oldest}


@contextlib.asynccontextmanager
async def visit(port: int, path: str = "") -> AsyncIterator[Visitor]:
    """Open a page of the app on this machine and wait for its first picture; `first` is what that cost."""
    address = f"127.0.0.1:{port}"
    async with connect(
        f"ws://{address}/_stcore/stream",
        origin=Origin(f"http://{address}"),
        subprotocols=[Subprotocol("streamlit")],
        compression=None,
        max_size=None,
        ping_interval=None,
    ) as socket:
        visitor = Visitor(socket, path)
        visitor.first = await visitor._turn(visitor._rerun())
        yield visitor
