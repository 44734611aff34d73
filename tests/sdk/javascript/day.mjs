// A full day of an order: all who take part in it, and all that can happen to their connections.

import assert from 'node:assert/strict';

import { Subscriber, until } from './support.mjs';

/** The one long case, made with what the others are made with. */
export async function fullDay(world) {
  const { server, network, store, recoveryLimit } = world;
  const { placeOrder, act, assign, change, log, issue, connect, refused, missedNothing } = world;
  const [driver, relief] = world.couriers;

  const order = await placeOrder();
  const it = { order: order.id };
  const asked = [];
  const getToken = async () => {
    const more = { orders: [order.id], ttl_s: asked.length === 0 ? 2 : 600 };
    asked.push(await issue('customer', 'ann', more));
    return asked.at(-1);
  };
  const follow = async (channel, options) => {
    const { client } = connect(options);
    const one = new Subscriber(client, channel);
    await one.standing();
    const { rpc } = client;
    return { one, rpc: rpc.bind(client), token: options.token };
  };
  const holder = async (kind, subject) => ({ token: await issue(kind, subject) });
  const customer = await follow(`order:${order.id}`, { getToken });
  const shop = await follow(`store:${store.id}`, await holder('store', store.id));
  const desk = await follow('dispatch', await holder('ops', 'olga'));
  const former = await follow(`driver:${driver.id}`, await holder('driver', driver.id));
  const present = await follow(`driver:${relief.id}`, await holder('driver', relief.id));
  const everybody = [customer, shop, desk, former, present];
  const heard = (type, whom) => Promise.all(whom.map(({ one }) => one.hears(type)));
  const back = async (count) => {
    for (const { one } of everybody) assert.equal((await one.standing(count)).recovered, true);
  };
  const phone = customer.one;
  assert.equal(phone.subscribed[0].data.order.version, 1);

  // The store takes it, over the socket it has heard it on; once is enough.
  await shop.rpc('order.accept', { ...it, prep_min: 10 });
  await refused(shop.rpc('order.reject', { ...it, reason: 'too_busy' }), 1409);
  await heard('order.preparing', [customer, shop, desk]);

  // The network fails for all, and a courier is found meanwhile.
  network.sever();
  await assign(order, driver);
  network.mend();
  await back(2);
  await heard('courier.assigned', [customer, shop, desk, former]);

  // It is given to another courier: the first is told so, once and nothing after it.
  await assign(order, relief);
  await heard('courier.changed', everybody);
  await refused(former.rpc('order.pickup', it), 404);

  // The server is stopped and started; the courier arrives before the sockets are back.
  assert.equal((await server.end('SIGTERM')).code, 0);
  network.refuse();
  await server.run();
  await act(order, 'at_store', {}, present.token);
  network.mend();
  await back(3);
  await heard('courier.at_store', [present]);

  // The customer looks away while the food leaves the store.
  phone.subscription.unsubscribe();
  await shop.rpc('order.ready', it);
  await present.rpc('order.pickup', it);
  await heard('order.picked_up', [present]);
  phone.subscription.subscribe();
  assert.equal((await phone.standing(4)).recovered, true);
  await heard('order.picked_up', [customer]);

  // Away for longer than is recovered: a snapshot stands for what was missed.
  network.sever();
  for (let nth = 0; nth <= recoveryLimit; nth += 1) await change(order, { note: `note ${nth}` });
  network.mend();
  for (const { one } of [customer, shop, desk, present]) {
    await until('it is back', () => one.lost.length === 1);
  }
  assert.equal(phone.subscribed.at(-1).data.order.note, `note ${recoveryLimit}`);
  // Nothing was missed by who has nothing to do with it any more.
  assert.equal((await former.one.standing(4)).recovered, true);

  // The last steps, and one that comes too late.
  await present.rpc('order.at_door', it);
  await refused(desk.rpc('order.cancel', { ...it, reason: 'duplicate' }), 1410);
  await heard('courier.at_door', [present]);
  // Compared before the end: after it the log keeps the address from couriers.
  present.one.missedNothing(await log(order, present.token, present.one.offsets[0] - 1));
  await present.rpc('order.deliver', it);
  await heard('order.delivered', [customer, shop, desk, present]);

  // The token of the customer ended hours ago, so to say.
  const ended = async () => (await server.request(asked[0], 'GET', '/v1/orders')).status === 401;
  await until('the first token has ended', ended);
  await until('the SDK asks for another', () => asked.length >= 2);
  customer.token = asked.at(-1);
  for (const { one, token } of [customer, shop, desk]) {
    const [first] = one.subscribed;
    await missedNothing({ phone: one, token, first }, order);
  }
  present.one.inOrder();
  assert.deepEqual(former.one.types, ['courier.assigned', 'courier.changed']);
  former.one.inOrder();
  const newest = await phone.subscription.history({ limit: 3, reverse: true });
  const all = await log(order, customer.token, 0);
  const positions = all.slice(-3).reverse().map((event) => event.position);
  assert.deepEqual(newest.publications.map((publication) => publication.offset), positions);
  for (const { one } of everybody) assert.deepEqual(one.errors, []);
}
