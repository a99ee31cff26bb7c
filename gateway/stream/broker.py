"""One connection to an MQTT broker: messages come as they are sent, and each is acknowledged by us, once it is kept.

The library is Eclipse Paho, which runs the protocol in a thread of its own. MQTT 5 first, because there the broker
itself keeps to the number of messages that we want in flight (Receive Maximum, MQTT 5.0 section 3.1.2.11.3); 3.1.1
where a broker does not know it. Topics may name patients: they are in no sentence here, and the library's log is off.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Final, Self

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.settings import StreamSettings
from security.errors import BadSettings, Denied, Fault, Refused, Unreachable

__all__ = ["KEPT_DAYS", "Line", "OldBroker", "Subscribed"]

KEPT_DAYS: Final = 30
"""How long a broker of MQTT 5 is asked to keep what comes while we are away."""

_KEEP_ALIVE = 30  # seconds
_AT_LEAST_ONCE = 1
_TOO_OLD = "Unsupported protocol version"
_NOT_US = frozenset({"Bad user name or password", "Not authorized", "Banned", "Bad authentication method"})
_TAKEN_OVER = "Session taken over"


class OldBroker(Exception):
    """The broker does not speak MQTT 5."""


class Subscribed:
    """The broker took our topics; `is_resumed` says whether it still had the session of before."""

    def __init__(self, *, is_resumed: bool) -> None:
        self.is_resumed = is_resumed


class Line:
    """A connection, opened by `async with`. Iterate it for what comes; the end of the connection is raised as a Fault.

    Parameters
    ----------
    client_id
        The name under which the broker keeps our session.
    in_flight
        How many messages are taken and not yet acknowledged, at most.
    is_v5
        Whether to speak MQTT 5, else 3.1.1.
    """

    def __init__(self, settings: StreamSettings, client_id: str, *, in_flight: int, is_v5: bool) -> None:
        self._settings, self._is_v5, self._in_flight = settings, is_v5, in_flight
        self._loop = asyncio.get_running_loop()
        self._came: asyncio.Queue[MQTTMessage | Subscribed | Exception] = asyncio.Queue()
        self._room = threading.Semaphore(in_flight)
        self._is_closing = threading.Event()
        self._is_resumed = False
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if is_v5 else False,
            protocol=MQTTv5 if is_v5 else MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect

    async def __aenter__(self) -> Self:
        connecting = asyncio.ensure_future(asyncio.to_thread(self._connect))
        try:
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            await asyncio.wait([connecting])  # a thread cannot be cancelled; it ends within seconds
            if connecting.exception() is None:
                self._client.disconnect()
            raise
        except ssl.SSLCertVerificationError as error:
            raise Denied(
                "The broker's certificate is not one that we trust.",
                hint="Give the certificate of who signed it: ca_file.",
                detail=error,
            ) from error
        except (OSError, ValueError) as error:
            raise Unreachable("The broker did not answer.", hint="Check host, port and tls.", detail=error) from error
        self._client.loop_start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closing.set()
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def __aiter__(self) -> AsyncIterator[MQTTMessage | Subscribed]:
        while True:
            came = await self._came.get()
            if isinstance(came, Exception):
                raise came
            yield came

    @property
    def waiting(self) -> int:
        """How many messages came and were not looked at yet."""
        return self._came.qsize()

    def acknowledge(self, message: MQTTMessage) -> None:
        """Tell the broker that a message is kept. On a broken connection it is lost, and the message comes again."""
        self._client.ack(message.mid, message.qos)
        self._room.release()

    def _connect(self) -> None:
        settings = self._settings
        if settings.tls:
            self._client.tls_set_context(_trust(settings))
        if settings.user:
            self._client.username_pw_set(settings.user, _password(settings))
        if not self._is_v5:
            self._client.connect(settings.host, settings.broker_port, _KEEP_ALIVE)
            return
        asked = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # its types are missing
        asked.SessionExpiryInterval = KEPT_DAYS * 24 * 3600
        asked.ReceiveMaximum = self._in_flight
        self._client.connect(settings.host, settings.broker_port, _KEEP_ALIVE, clean_start=False, properties=asked)

    # What the library calls, in its own thread

    def _on_connect(
        self, client: Client, _: object, flags: ConnectFlags, said: ReasonCode, properties: Properties | None
    ) -> None:
        if said.is_failure:
            self._tell(_refusal(str(said)))
            return
        self._is_resumed = flags.session_present
        topics = self._settings.topics
        if self._is_v5:
            asked = SubscribeOptions(_AT_LEAST_ONCE, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
            client.subscribe([(topic, asked) for topic in topics])
        else:
            client.subscribe([(topic, _AT_LEAST_ONCE) for topic in topics])

    def _on_subscribe(
        self, client: Client, _: object, mid: int, said: list[ReasonCode], properties: Properties | None
    ) -> None:
        refused = [str(place) for place, each in enumerate(said, 1) if each.is_failure]
        if refused:
            text = f"The broker does not let us read the topic number {' and '.join(refused)} of topics."
            self._tell(Denied(text, hint="Ask the broker's operator for the right to read it."))
        elif any(each.value < _AT_LEAST_ONCE for each in said):
            self._tell(Refused("The broker sends at most once, so messages would be lost.", hint="Allow QoS 1."))
        else:
            self._tell(Subscribed(is_resumed=self._is_resumed))

    def _on_message(self, client: Client, _: object, message: MQTTMessage) -> None:
        # Blocks the library's reading, so that a broker which does not know our limit is held back by TCP.
        while not self._is_closing.is_set():
            if self._room.acquire(timeout=0.2):
                self._tell(message)
                return

    def _on_disconnect(
        self, client: Client, _: object, flags: DisconnectFlags, said: ReasonCode, properties: Properties | None
    ) -> None:
        hint = "Another client has the same client_id." if str(said) == _TAKEN_OVER else ""
        self._tell(Unreachable("The connection to the broker ended.", hint=hint))

    def _tell(self, what: MQTTMessage | Subscribed | Exception) -> None:
        if not self._is_closing.is_set():
            self._loop.call_soon_threadsafe(self._came.put_nowait, what)


def _refusal(said: str) -> Exception:
    """Say in our words why a broker did not let us in."""
    if said == _TOO_OLD:
        return OldBroker()
    if said in _NOT_US:
        return Denied("The broker does not let us in.", hint="Check user, password_file and client_id.")
    return Unreachable(f"The broker refused the connection: {said}.")


class _Socket(ssl.SSLSocket):
    """Closes itself where the handshake fails; the library leaves it open."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def _trust(settings: StreamSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        raise _unreadable("ca_file", error) from error
    context.sslsocket_class = _Socket
    return context


def _password(settings: StreamSettings) -> str | None:
    if settings.password_file is None:
        return None
    try:
        return settings.password_file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable("password_file", error) from error


def _unreadable(key: str, error: Exception) -> Fault:
    return BadSettings(f"The file that {key} names cannot be read.", hint=f"Check {key} in twin.toml.", detail=error)
