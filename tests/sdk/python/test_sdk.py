"""What apps rely on, with the official SDK as PyPI has it: every case runs in JSON and in Protobuf."""

import asyncio
import re
import signal
import unittest
from importlib.metadata import version

from centrifuge import ClientState, ReplyError, StreamPosition

from day import Day
from support import Connection, Network, Server, Subscriber, until

# Small, so that a test can miss more than is recovered; but more than a stalled socket may hold.
RECOVERY_LIMIT = 60
SETTINGS = {
    "ORDERCAST_SOCKET__RECOVERY_LIMIT": str(RECOVERY_LIMIT),
    "ORDERCAST_SOCKET__MAILBOX_BYTES": "16384",
    "ORDERCAST_SOCKET__SEND_BUFFER_BYTES": "4096",
}
# More than mailbox, kernel and a narrow network together hold of 4 kB each, so that it overflows.
STALLED_CHANGES = 50
# Before 0.7 the SDK comes back without a word of why it had to, and in JSON offers no subprotocol
# by a header without a value, which RFC 6455 does not allow.
EARLY = [int(part) for part in version("centrifuge-python").split(".")] < [0, 7]


class Cases:
    """The cases; `protobuf` says which codec."""

    protobuf: bool
    recovery_limit = RECOVERY_LIMIT

    @classmethod
    def setUpClass(cls):
        cls.server = Server(SETTINGS)
        cls.addClassCleanup(cls.server.remove)
        # Couriers are named here.
        cls.server.command("tenant", "acme", "--offer-mode", "off")
        cls.platform = cls.server.command("token", "--tenant", "acme")
        place = {"name": "Pizza Corner", "lat": 52.52, "lng": 13.4, "tz": "Europe/Berlin"}
        cls.store = cls.server.call_now(cls.platform, "PUT", "/v1/stores/ext/corner", place)["id"]
        cls.drivers = [cls.new_driver(name) for name in ("cori", "dana")]
        cls.placed = 0

    @classmethod
    def new_driver(cls, name):
        person = {"name": f"{name} Rider", "vehicle": {"type": "scooter"}, "capacity": 50}
        driver = cls.server.call_now(cls.platform, "PUT", f"/v1/drivers/ext/{name}", person)["id"]
        cls.server.call_now(cls.platform, "PUT", f"/v1/drivers/{driver}/duty", {"duty": "on"})
        return driver

    async def asyncSetUp(self):
        if not self.server.running:
            self.server.run()
        self.network = await Network.start(self.server)
        self.addAsyncCleanup(self.network.remove)

    async def call(self, method, target, body=None, token=None):
        return await self.server.call(token or self.platform, method, target, body)

    async def place_order(self):
        type(self).placed += 1
        dropoff = {"name": "Ann Lee", "address": "Elm St 1, Berlin", "lat": 52.53, "lng": 13.41}
        return await self.call("POST", "/v1/orders", {
            "external_id": f"A-{self.placed}",
            "store": self.store,
            "dropoff": dropoff,
            "items": [{"name": "Margherita", "qty": 2}],
        })

    async def act(self, order, action, body=None, token=None):
        target = f"/v1/orders/{order['id']}/{action}"
        return await self.call("POST", target, body or {}, token)

    async def assign(self, order, driver):
        return await self.call("PUT", f"/v1/orders/{order['id']}/driver", {"driver": driver})

    async def note(self, order, text):
        return await self.call("PATCH", f"/v1/orders/{order['id']}", {"note": text})

    async def issue(self, kind, subject, **more):
        body = {"kind": kind, "subject": subject, **more}
        return (await self.call("POST", "/v1/tokens", body))["token"]

    async def connect(self, network=None, **options):
        """A client that connects, and what happens to its connection."""
        connection = Connection(network or self.network, self.protobuf, **options)
        self.addAsyncCleanup(connection.client.disconnect)
        await connection.client.connect()
        return connection

    async def watch(self, order):
        """A customer who watches one order: token, connection, subscription, first snapshot."""
        token = await self.issue("customer", "ann", orders=[order["id"]])
        connection = await self.connect(token=token)
        phone = await Subscriber.start(connection, f"order:{order['id']}")
        return token, connection, phone, await phone.standing()

    async def log(self, order, token, after):
        """The order's events after a position, as the bearer of the token may see them."""
        target = f"/v1/orders/{order['id']}/events?limit=1000&after={after}"
        return (await self.call("GET", target, token=token))["events"]

    async def missed_nothing(self, order, token, phone):
        after = phone.subscribed[0].stream_position.offset
        phone.missed_nothing(await self.log(order, token, after))

    async def refused(self, request, code, word="."):
        with self.assertRaises(ReplyError) as caught:
            await request
        self.assertEqual(caught.exception.code, code, caught.exception)
        self.assertRegex(caught.exception.message, word)

    def ended_by(self, connection, code, reason):
        """Asserts that the connection was lost once, by this close frame."""
        if not EARLY:
            (_, lost) = connection.connecting
            self.assertEqual((lost.code, lost.reason), (code, reason))

    async def test_handshake_names_the_codec(self):
        connection = await self.connect(token=await self.issue("ops", "ann"))
        await connection.client.ready()
        header = r"(?mi)^sec-websocket-protocol:[ \t]*(.*?)\r$"
        offered = re.findall(header, self.network.heads[0])
        expected = ["centrifuge-protobuf"] if self.protobuf else [""] if EARLY else []
        self.assertEqual(offered, expected)
        await self.refused(connection.rpc("order.dance", {}), 104)

    async def test_first_subscribe_brings_snapshot_and_position(self):
        order = await self.place_order()
        _, _, _, first = await self.watch(order)
        self.assertEqual(first.data["order"]["id"], order["id"])
        self.assertEqual(first.data["order"]["version"], 1)
        self.assertEqual([s["step"] for s in first.data["order"]["steps"]], ["received"])
        self.assertNotIn("status", first.data["order"], "a customer sees steps")
        self.assertTrue(first.positioned and first.recoverable)
        self.assertFalse(first.was_recovering)
        log = await self.call("GET", f"/v1/orders/{order['id']}/events")
        self.assertGreaterEqual(first.stream_position.offset, log["events"][-1]["position"])
        self.assertEqual(first.stream_position.epoch, log["epoch"])

    async def test_events_arrive_live_once_and_in_order(self):
        order = await self.place_order()
        token, _, phone, _ = await self.watch(order)
        await self.act(order, "accept", {"prep_min": 10})
        await self.act(order, "ready")
        await phone.hears("order.ready")
        self.assertEqual(phone.types, ["order.accepted", "order.preparing", "order.ready"])
        await self.missed_nothing(order, token, phone)

    async def test_lost_connection_comes_back_with_what_was_missed(self):
        order = await self.place_order()
        token, connection, phone, _ = await self.watch(order)
        await self.act(order, "accept", {"prep_min": 10})
        await phone.hears("order.preparing")
        self.network.sever()
        await until("the SDK notices", lambda: len(phone.subscribing) == 2)
        await self.act(order, "ready")
        await self.assign(order, self.drivers[0])
        # The first tries to come back fail.
        await until("the SDK tries in vain", lambda: connection.errors)
        self.network.mend()
        again = await phone.standing(2)
        self.assertTrue(again.was_recovering and again.recovered)
        self.assertIsNone(again.data, "no snapshot beside what was missed")
        await phone.hears("courier.assigned")
        await self.act(order, "cancel", {"reason": "duplicate"})
        await phone.hears("order.cancelled")
        await self.missed_nothing(order, token, phone)
        self.assertEqual(phone.errors, [])
        self.assertEqual(phone.unsubscribed, [])

    async def test_who_missed_too_much_gets_a_snapshot_instead(self):
        order = await self.place_order()
        token, _, phone, _ = await self.watch(order)
        self.network.sever()
        for nth in range(RECOVERY_LIMIT + 1):
            await self.note(order, f"note {nth}")
        self.network.mend()
        again = await phone.standing(2)
        self.assertTrue(again.was_recovering)
        self.assertFalse(again.recovered)
        self.assertEqual(again.data["order"]["note"], f"note {RECOVERY_LIMIT}")
        self.assertEqual(phone.heard, [])
        await self.act(order, "accept", {"prep_min": 10})
        await phone.hears("order.preparing")
        self.assertEqual(len(phone.lost), 1)
        await self.missed_nothing(order, token, phone)

    async def test_stop_of_the_server_says_3001_and_everybody_is_back_after_it(self):
        order = await self.place_order()
        token, connection, phone, _ = await self.watch(order)
        await self.act(order, "accept", {"prep_min": 10})
        await phone.hears("order.preparing")
        self.assertEqual(await asyncio.to_thread(self.server.end, signal.SIGTERM), 0)
        await until("the SDK notices", lambda: len(phone.subscribing) == 2)
        self.ended_by(connection, 3001, "shutdown")
        self.network.refuse()
        await asyncio.to_thread(self.server.run)
        await self.act(order, "ready")
        self.network.mend()
        again = await phone.standing(2)
        self.assertTrue(again.was_recovering and again.recovered)
        await phone.hears("order.ready")
        await self.missed_nothing(order, token, phone)

    async def test_slow_reader_is_closed_with_3008_and_recovers(self):
        order = await self.place_order()
        token = await self.issue("ops", "ann")
        narrow = await Network.start(self.server, narrow=True)
        self.addAsyncCleanup(narrow.remove)
        slow = await self.connect(narrow, token=token)
        board = await Subscriber.start(slow, f"order:{order['id']}")
        await board.standing()
        other = await Subscriber.start(await self.connect(token=token), f"order:{order['id']}")
        await other.standing()
        narrow.stall()
        for nth in range(STALLED_CHANGES):
            meta = {"meta": {"nth": nth, "text": "x" * 3_900}}
            await self.call("PATCH", f"/v1/orders/{order['id']}", meta)
            await until("another hears it", lambda: len(other.heard) > nth)
        self.assertEqual(len(board.subscribing), 1, "nobody has told the SDK yet")
        narrow.flow()
        again = await board.standing(2)
        self.ended_by(slow, 3008, "slow")
        self.assertTrue(again.was_recovering and again.recovered)
        await until("all is heard", lambda: len(board.heard) >= STALLED_CHANGES)
        await self.act(order, "cancel", {"reason": "duplicate"})
        for subscriber in (board, other):
            await subscriber.hears("order.cancelled")
            await self.missed_nothing(order, token, subscriber)
        self.assertEqual(board.lost, [])
        self.assertEqual(len(other.subscribed), 1, "others were not disturbed")

    async def test_reassigned_order_leaves_one_courier_and_comes_to_another(self):
        order = await self.place_order()
        await self.act(order, "accept", {"prep_min": 10})
        couriers = []
        for driver in self.drivers:
            connection = await self.connect(token=await self.issue("driver", driver))
            courier = await Subscriber.start(connection, f"driver:{driver}")
            await courier.standing()
            couriers.append((connection, courier))
        (_, former), (connection, present) = couriers
        await self.assign(order, self.drivers[0])
        await former.hears("courier.assigned")
        self.assertEqual(present.heard, [])
        await self.assign(order, self.drivers[1])
        await former.hears("courier.changed")
        self.assertEqual(former.heard[-1]["data"], {}, "nothing of whom it went to")
        await present.hears("courier.changed")
        self.assertEqual(present.heard[-1]["data"]["order"]["id"], order["id"])
        await connection.rpc("order.pickup", {"order": order["id"]})
        await present.hears("order.picked_up")
        # An order of its own comes after whatever else it might have been told.
        await self.assign(await self.place_order(), self.drivers[0])
        await former.hears("courier.assigned")
        self.assertEqual(former.types, ["courier.assigned", "courier.changed", "courier.assigned"])
        for _, courier in couriers:
            courier.in_order()

    async def test_store_answers_over_the_socket_it_hears_on(self):
        connection = await self.connect(token=await self.issue("store", self.store))
        tablet = await Subscriber.start(connection, f"store:{self.store}")
        first = await tablet.standing()
        self.assertEqual(first.data["store"]["id"], self.store)
        order = await self.place_order()
        await tablet.hears("order.placed")
        accept = {"order": order["id"], "prep_min": 15}
        answer = await connection.rpc("order.accept", accept)
        self.assertEqual(answer["status"], "preparing")
        await tablet.hears("order.preparing")
        # The same again is a repeat: answered, and not heard twice.
        self.assertEqual((await connection.rpc("order.accept", accept))["version"], answer["version"])
        await connection.rpc("order.ready", {"order": order["id"]})
        await tablet.hears("order.ready")
        expected = ["order.placed", "order.accepted", "order.preparing", "order.ready"]
        self.assertEqual(tablet.types, expected)
        tablet.in_order()

    async def test_refusal_is_an_error_with_a_code_of_its_own(self):
        connection = await self.connect(token=await self.issue("store", self.store))
        await connection.client.ready()
        it = {"order": (await self.place_order())["id"]}
        await connection.rpc("order.reject", {**it, "reason": "too_busy"})
        for method, data, code, word in [
            ("order.accept", {**it, "prep_min": 10}, 1409, "^invalid_transition: "),
            ("order.ready", {**it, "if_match": 1}, 1411, "^version_mismatch: "),
            ("order.accept", {**it, "prep_min": "ten"}, 422, "^validation: prep_min: "),
            ("order.accept", {"order": "or_1"}, 404, "^not_found: "),
            ("order.redeliver", it, 403, "^role_not_allowed: "),
            ("order.dance", it, 104, "^method not found$"),
        ]:
            with self.subTest(method=method, code=code):
                await self.refused(connection.rpc(method, data), code, word)

    async def test_bad_token_ends_it_without_another_try(self):
        connection = await self.connect(token="not.a.token")
        await until("the SDK gives up", lambda: connection.disconnected)
        self.assertEqual(connection.client.state, ClientState.DISCONNECTED)
        ended = connection.disconnected[0]
        self.assertEqual((ended.code, ended.reason), (3500, "invalid token"))
        self.assertEqual(connection.connected, [])

    async def test_expired_token_is_replaced_by_get_token(self):
        expired = await self.issue("ops", "ann", ttl_s=1)
        status = lambda: self.server.request(expired, "GET", "/v1/orders")[0]
        await until("the token has expired", lambda: status() == 401)
        asked = []

        async def get_token():
            asked.append(await self.issue("ops", "ann"))
            return asked[-1]

        connection = await self.connect(token=expired, get_token=get_token)
        await until("it is connected", lambda: connection.connected)
        self.assertEqual(len(asked), 1)
        self.assertEqual(connection.errors[0].error.code, 109)
        await self.refused(connection.rpc("order.dance", {}), 104)

    async def test_token_is_refreshed_before_it_ends_and_the_connection_stays(self):
        asked = []

        async def get_token():
            asked.append(await self.issue("ops", "ann", ttl_s=600 if asked else 2))
            return asked[-1]

        connection = await self.connect(get_token=get_token)
        await connection.client.ready()
        await until("the SDK asks for another", lambda: len(asked) == 2)
        status = lambda: self.server.request(asked[0], "GET", "/v1/orders")[0]
        await until("the first has ended", lambda: status() == 401)
        await self.refused(connection.rpc("order.dance", {}), 104)
        self.assertEqual((len(connection.connected), len(connection.connecting)), (1, 1))
        self.assertEqual(connection.errors, [])

    async def test_channel_of_others_is_refused_for_good(self):
        own, foreign = await self.place_order(), await self.place_order()
        _, connection, _, _ = await self.watch(own)
        for channel, code in [(f"order:{foreign['id']}", 103), ("tenant", 103), ("chat", 102)]:
            other = await Subscriber.start(connection, channel)
            await until("the SDK is told", lambda: other.unsubscribed)
            self.assertEqual(other.unsubscribed[0].code, code, channel)
        self.assertEqual(connection.client.state, ClientState.CONNECTED)

    async def test_history_pages_through_the_log_of_a_channel(self):
        order = await self.place_order()
        _, connection, phone, first = await self.watch(order)
        await self.act(order, "accept", {"prep_min": 10})
        await self.act(order, "ready")
        await phone.hears("order.ready")
        history = phone.subscription.history
        types = lambda page: [connection.read(pub.data)["type"] for pub in page.publications]
        whole = await history(limit=-1)
        all_types = ["order.placed", "order.accepted", "order.preparing", "order.ready"]
        self.assertEqual(types(whole), all_types)
        self.assertEqual(whole.epoch, first.stream_position.epoch)
        self.assertGreaterEqual(whole.offset, whole.publications[-1].offset)
        page = await history(limit=2, since=first.stream_position)
        self.assertEqual(types(page), all_types[1:3])
        self.assertEqual(types(await history(limit=1, reverse=True)), ["order.ready"])
        self.assertEqual(types(await history(limit=0)), [])
        elsewhere = StreamPosition(offset=1, epoch="another")
        await self.refused(history(limit=1, since=elsewhere), 112)

    async def test_unsubscribed_hears_nothing_until_it_subscribes_again_and_recovers(self):
        order = await self.place_order()
        token, connection, phone, _ = await self.watch(order)
        await phone.subscription.unsubscribe()
        self.assertEqual([ended.code for ended in phone.unsubscribed], [0])
        await self.act(order, "accept", {"prep_min": 10})
        # Answered after all that was sent before.
        await self.refused(connection.rpc("order.dance", {}), 104)
        self.assertEqual(phone.heard, [])
        await phone.subscription.subscribe()
        self.assertTrue((await phone.standing(2)).recovered)
        await phone.hears("order.preparing")
        await self.missed_nothing(order, token, phone)

    async def test_dispatcher_hears_the_orders_its_filter_lets_through(self):
        connection = await self.connect(token=await self.issue("ops", "ann"))
        board = await Subscriber.start(connection, "dispatch", {"status": ["ready"]})
        first = await board.standing()
        self.assertTrue(all(order["status"] == "ready" for order in first.data["orders"]))
        order = await self.place_order()
        await self.act(order, "accept", {"prep_min": 10})
        await self.act(order, "ready")
        await board.hears("order.ready")
        self.assertEqual(board.types, ["order.ready"])


class Json(Cases, Day, unittest.IsolatedAsyncioTestCase):
    protobuf = False


class Protobuf(Cases, Day, unittest.IsolatedAsyncioTestCase):
    protobuf = True


if __name__ == "__main__":
    unittest.main()
