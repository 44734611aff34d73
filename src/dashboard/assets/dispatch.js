// The dispatcher's board: every open order as a card in the column of its status, worst first; a
// map and the couriers beside it, from the same data; what needs somebody in rows above.
//
// Events only mark what has changed; a few times a second that is brought up to date, and only
// what is in sight is drawn, so thousands of orders and couriers cost no more than some.

import { Board } from "./board.js";
import { run } from "./page.js";

const board = new Board();
run((client, _order, token) => board.begin(client, token), {
  name: "dispatch",
  onState: (state) => board.onState(state),
});
