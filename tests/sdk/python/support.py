"""A server, a network that can fail, and subscribers that keep what they hear."""

import asyncio
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from centrifuge import Client, ClientEventHandler, SubscriptionEventHandler

BUILT = Path(__file__).parents[3] / "target/debug/ordercast"
BIN = str(Path(os.environ.get("ORDERCAST_BIN") or BUILT).resolve())
PATIENCE_S = 60
READ_BYTES = 4096
ADDRESS = re.compile(r'"address":"127\.0\.0\.1:(\d+)"')


async def until(what, condition):
    """Waits until `condition` gives something true, and returns that."""
    end = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain until {what}")
        await asyncio.sleep(0.01)
    return value


class Server:
    """`ordercast serve` with a private PostgreSQL in a folder of its own."""

    def __init__(self, settings):
        self.settings = settings
        self.dir = tempfile.mkdtemp(prefix="ordercast-sdk-")
        # Run by root, PostgreSQL has an account of its own that must get there.
        os.chmod(self.dir, 0o711)
        self._data_dir = os.path.join(self.dir, "data")
        self.run()

    def run(self):
        """Starts the process, on a free port each time, and waits until it serves."""
        command = [BIN, "serve", "--data-dir", self._data_dir, "--port", "0"]
        env = {**os.environ, "ORDERCAST_LOG__FORMAT": "json", **self.settings}
        self._process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        log = []
        for line in self._process.stderr:
            log.append(line)
            address = ADDRESS.search(line)
            if address and '"serving"' in line:
                self.port = int(address[1])
                break
        else:
            raise AssertionError(f"exit {self._process.wait()}\n{''.join(log)}")
        # What it says later is for nobody, but must not fill the pipe.
        threading.Thread(target=self._drain, args=[self._process.stderr], daemon=True).start()

    @staticmethod
    def _drain(pipe):
        with pipe:
            for _ in pipe:
                pass

    @property
    def running(self):
        return self._process.poll() is None

    def end(self, number):
        """Sends the signal and waits for the process to end; returns its exit code."""
        self._process.send_signal(number)
        return self._process.wait(PATIENCE_S)

    def remove(self):
        """Ends the process if it still runs, and removes the folder."""
        try:
            if self.running:
                self.end(signal.SIGTERM)
        finally:
            self._process.kill()
            shutil.rmtree(self.dir, ignore_errors=True)

    def command(self, *args):
        """What the command line prints."""
        command = [BIN, *args, "--data-dir", self._data_dir]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def request(self, token, method, target, body=None):
        """A request, whatever its answer: status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, target, text, headers)
            response = connection.getresponse()
            return response.status, json.load(response)
        finally:
            connection.close()

    def call_now(self, token, method, target, body=None):
        """A request that must succeed, while nothing else happens: its body."""
        status, answer = self.request(token, method, target, body)
        assert status < 300, f"{method} {target}: {status} {answer}"
        return answer

    async def call(self, *request):
        """A request that must succeed: its body."""
        return await asyncio.to_thread(self.call_now, *request)


class Network:
    """The network between clients and the server: a TCP proxy that can be cut, and stalled.

    `heads` are the requests that came through it.
    """

    @classmethod
    async def start(cls, target, narrow=False):
        """To `target`; a narrow one holds little, so that a stall is soon felt at the server."""
        network = cls()
        network._target = target
        network._narrow = narrow
        network._whole = True
        network._transports = set()
        network.heads = []
        network._flowing = asyncio.Event()
        network._flowing.set()
        network._listener = await asyncio.start_server(network._join, "127.0.0.1", 0)
        return network

    @property
    def url(self):
        port = self._listener.sockets[0].getsockname()[1]
        return f"ws://127.0.0.1:{port}/connection/websocket"

    async def _join(self, near_reader, near_writer):
        if not self._whole:
            near_writer.transport.abort()
            return
        far = socket.socket()
        far.setblocking(False)
        if self._narrow:
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        writers = [near_writer]
        self._transports.add(near_writer.transport)
        try:
            await asyncio.get_running_loop().sock_connect(far, ("127.0.0.1", self._target.port))
            far_reader, far_writer = await asyncio.open_connection(sock=far, limit=READ_BYTES)
            writers.append(far_writer)
            self._transports.add(far_writer.transport)
            if not self._whole:
                self.sever()
            head = await near_reader.readuntil(b"\r\n\r\n")
            self.heads.append(head.decode())
            far_writer.write(head)
            # A reset is what the tests are about.
            up = self._carry(near_reader, far_writer, None)
            down = self._carry(far_reader, near_writer, self._flowing)
            await asyncio.gather(up, down, return_exceptions=True)
        except (ConnectionError, asyncio.IncompleteReadError):
            far.close()
        finally:
            for writer in writers:
                self._transports.discard(writer.transport)
                writer.close()

    @staticmethod
    async def _carry(reader, writer, flowing):
        try:
            while data := await reader.read(READ_BYTES):
                if flowing:
                    await flowing.wait()
                writer.write(data)
                await writer.drain()
        finally:
            # What has been written is still sent.
            writer.close()

    def refuse(self):
        """From now on nobody gets through; what is open stays open."""
        self._whole = False

    def sever(self):
        """From now on nobody gets through, and what is open ends."""
        self.refuse()
        for transport in self._transports:
            transport.abort()

    def mend(self):
        self._whole = True

    def stall(self):
        """From now on nothing more arrives from the server, and connections stay open."""
        self._flowing.clear()

    def flow(self):
        self._flowing.set()

    async def remove(self):
        self._listener.close()
        self.flow()
        self.sever()
        await until("all connections have ended", lambda: not self._transports)
        await self._listener.wait_closed()


class Connection(ClientEventHandler):
    """A client and what happened to its connection."""

    def __init__(self, network, protobuf, **options):
        self.protobuf = protobuf
        self.connected, self.connecting, self.disconnected, self.errors = [], [], [], []
        self.client = Client(network.url, events=self, use_protobuf=protobuf, **options)

    async def on_connected(self, ctx):
        self.connected.append(ctx)

    async def on_connecting(self, ctx):
        self.connecting.append(ctx)

    async def on_disconnected(self, ctx):
        self.disconnected.append(ctx)

    async def on_error(self, ctx):
        self.errors.append(ctx)

    def write(self, value):
        """In Protobuf payloads are bytes, which to ordercast are JSON text."""
        return json.dumps(value).encode() if self.protobuf else value

    def read(self, data):
        """No payload at all is no bytes."""
        return (json.loads(data) if data else None) if self.protobuf else data

    async def rpc(self, method, data):
        return self.read((await self.client.rpc(method, self.write(data))).data)


class Subscriber(SubscriptionEventHandler):
    """One subscription and all that it was told, in order."""

    def __init__(self, connection, channel, data=None):
        self.heard, self.offsets = [], []
        self.subscribed, self.subscribing, self.unsubscribed, self.errors = [], [], [], []
        self.lost = []
        self._read = connection.read
        options = {"data": connection.write(data)} if data else {}
        self.subscription = connection.client.new_subscription(channel, events=self, **options)

    @classmethod
    async def start(cls, connection, channel, data=None):
        subscriber = cls(connection, channel, data)
        await subscriber.subscription.subscribe()
        return subscriber

    async def on_publication(self, ctx):
        self.heard.append(self._read(ctx.pub.data))
        self.offsets.append(ctx.pub.offset)

    async def on_subscribed(self, ctx):
        ctx.data = self._read(ctx.data)
        if ctx.was_recovering and not ctx.recovered:
            self.lost.append((self.reached, ctx.stream_position.offset))
        self.subscribed.append(ctx)

    async def on_subscribing(self, ctx):
        self.subscribing.append(ctx)

    async def on_unsubscribed(self, ctx):
        self.unsubscribed.append(ctx)

    async def on_error(self, ctx):
        self.errors.append(ctx)

    @property
    def types(self):
        return [event["type"] for event in self.heard]

    @property
    def reached(self):
        """Where it stands in the log by what it was told."""
        return max([0, *self.offsets[-1:], *(c.stream_position.offset for c in self.subscribed)])

    async def standing(self, count=1):
        """The newest `subscribed`, once there are `count` of them."""
        await until(f"subscribed {count} times", lambda: len(self.subscribed) >= count)
        assert len(self.subscribed) == count
        return self.subscribed[-1]

    async def hears(self, kind):
        """Waits for an event of this type as the last one heard."""
        await until(f"the last of {self.types} is {kind}", lambda: self.types[-1:] == [kind])

    def in_order(self):
        """Asserts that offsets only grow, and are the positions of the events."""
        assert self.offsets == [event["position"] for event in self.heard]
        assert self.offsets == sorted(set(self.offsets)), f"positions {self.offsets}"

    def missed_nothing(self, log):
        """Asserts that it heard `log`, but for what a snapshot stood for, and no more."""
        self.in_order()
        by_snapshot = lambda at: any(low < at <= high for low, high in self.lost)
        expected = [event for event in log if not by_snapshot(event["position"])]
        assert self.heard == expected, f"heard {self.types}, of {[e['type'] for e in expected]}"
