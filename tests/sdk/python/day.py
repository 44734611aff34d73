"""A full day of an order: all who take part in it, and all that can happen to their connections."""

import asyncio
import signal

from support import Subscriber, until


class Day:
    """The one long case; beside `Cases`, which has what it is made with."""

    async def follow(self, channel, **options):
        """A client that follows one channel from its snapshot on."""
        connection = await self.connect(**options)
        subscriber = await Subscriber.start(connection, channel)
        await subscriber.standing()
        return connection, subscriber

    async def test_a_full_day_of_an_order(self):
        order = await self.place_order()
        it = {"order": order["id"]}
        former_id, present_id = self.drivers
        asked = []

        async def get_token():
            life = {"ttl_s": 600 if asked else 2}
            asked.append(await self.issue("customer", "ann", orders=[order["id"]], **life))
            return asked[-1]

        shop_token = await self.issue("store", self.store)
        desk_token = await self.issue("ops", "olga")
        former_token = await self.issue("driver", former_id)
        present_token = await self.issue("driver", present_id)
        _, phone = await self.follow(f"order:{order['id']}", get_token=get_token)
        shop, tablet = await self.follow(f"store:{self.store}", token=shop_token)
        desk, board = await self.follow("dispatch", token=desk_token)
        former, lost = await self.follow(f"driver:{former_id}", token=former_token)
        present, kept = await self.follow(f"driver:{present_id}", token=present_token)
        everybody = [phone, tablet, board, lost, kept]
        self.assertEqual(phone.subscribed[0].data["order"]["version"], 1)

        # The store takes it, over the socket it has heard it on; once is enough.
        await shop.rpc("order.accept", {**it, "prep_min": 10})
        await self.refused(shop.rpc("order.reject", {**it, "reason": "too_busy"}), 1409)
        for one in (phone, tablet, board):
            await one.hears("order.preparing")

        # The network fails for all, and a courier is found meanwhile.
        self.network.sever()
        await self.assign(order, former_id)
        self.network.mend()
        for one in everybody:
            self.assertTrue((await one.standing(2)).recovered)
        for one in (phone, tablet, board, lost):
            await one.hears("courier.assigned")

        # It is given to another courier: the first is told so, once and nothing after it.
        await self.assign(order, present_id)
        for one in everybody:
            await one.hears("courier.changed")
        await self.refused(former.rpc("order.pickup", it), 404)

        # The server is stopped and started; the courier arrives before the sockets are back.
        self.assertEqual(await asyncio.to_thread(self.server.end, signal.SIGTERM), 0)
        self.network.refuse()
        await asyncio.to_thread(self.server.run)
        await self.act(order, "at_store", token=present_token)
        self.network.mend()
        for one in everybody:
            self.assertTrue((await one.standing(3)).recovered)
        await kept.hears("courier.at_store")

        # The customer looks away while the food leaves the store.
        await phone.subscription.unsubscribe()
        await shop.rpc("order.ready", it)
        await present.rpc("order.pickup", it)
        await kept.hears("order.picked_up")
        await phone.subscription.subscribe()
        self.assertTrue((await phone.standing(4)).recovered)
        await phone.hears("order.picked_up")

        # Away for longer than is recovered: a snapshot stands for what was missed.
        self.network.sever()
        for nth in range(self.recovery_limit + 1):
            await self.note(order, f"note {nth}")
        self.network.mend()
        for one in (phone, tablet, board, kept):
            await until("it is back", lambda: len(one.lost) == 1)
        self.assertEqual(phone.subscribed[-1].data["order"]["note"], f"note {nth}")
        # Nothing was missed by who has nothing to do with it any more.
        self.assertTrue((await lost.standing(4)).recovered)

        # The last steps, and one that comes too late.
        await present.rpc("order.at_door", it)
        await self.refused(desk.rpc("order.cancel", {**it, "reason": "duplicate"}), 1410)
        await kept.hears("courier.at_door")
        # Compared before the end: after it the log keeps the address from couriers.
        kept.missed_nothing(await self.log(order, present_token, kept.offsets[0] - 1))
        await present.rpc("order.deliver", it)
        for one in (phone, tablet, board, kept):
            await one.hears("order.delivered")

        # The token of the customer ended hours ago, so to say.
        status = lambda: self.server.request(asked[0], "GET", "/v1/orders")[0]
        await until("the first token has ended", lambda: status() == 401)
        await until("the SDK asks for another", lambda: len(asked) >= 2)
        for one, token in [(phone, asked[-1]), (tablet, shop_token), (board, desk_token)]:
            await self.missed_nothing(order, token, one)
        kept.in_order()
        self.assertEqual(lost.types, ["courier.assigned", "courier.changed"])
        lost.in_order()
        history = await phone.subscription.history(limit=3, reverse=True)
        offsets = [publication.offset for publication in history.publications]
        log = await self.log(order, asked[-1], 0)
        self.assertEqual(offsets, [event["position"] for event in log[:-4:-1]])
        for one in everybody:
            self.assertEqual(one.errors, [])
