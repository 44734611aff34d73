//! `GET /v1/sse`: a bare `EventSource` or `curl` follows one channel, and comes back without a gap.

mod asking;
mod ending;
mod following;
mod rights;

use crate::support::Server;

fn sockets(server: &Server) -> usize {
    server.app().api().house.sockets()
}
