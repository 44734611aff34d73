// Taps on their way: by the socket, and a proof that is too large for it by a request of its own.

import { LOST, Refused } from "./client.js";

/** Largest proof that a socket takes, in characters. */
const SOCKET_MAX = 40_000;
/** How long a request for a larger one may take, in milliseconds. */
const UPLOAD_LIMIT = 60_000;

/** Sends a tap by this client, or with this token; it fails as the client does. */
export async function send(by, token, method, data) {
  if (method !== "proof.add" || (data.data?.length ?? 0) < SOCKET_MAX) return by.call(method, data);
  const { order, idempotency_key: key, ...body } = data;
  let answer;
  let told;
  try {
    answer = await fetch(`/v1/orders/${order}/proofs`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(UPLOAD_LIMIT),
    });
    told = await answer.json();
  } catch {
    throw new Refused({ code: LOST, message: "The connection was lost." });
  }
  if (answer.ok) return told;
  const temporary = answer.status >= 500 || answer.status === 429;
  throw new Refused({ code: answer.status, message: `${told.code}: ${told.detail}`, temporary });
}
