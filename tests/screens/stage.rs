//! What a test plays on: a server with a city, a network before it, and browsers.

use ordercast::config::Config;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::driver::Driver;
use crate::network::Network;
use crate::page::{Page, Screen};
use crate::support::{City, Rest, Server, attentive, until};

/// One test at a time: frames are measured, and browsers are large.
static TURN: Mutex<()> = Mutex::const_new(());

pub struct Stage {
    // Ended in this order: first the browsers.
    driver: Driver,
    pub network: Network,
    pub city: City,
    pub ops: Rest,
    pub store: Rest,
    pub server: Server,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    pub async fn set() -> Self {
        Self::set_with(attentive).await
    }

    /// With a server whose settings `change` has seen.
    pub async fn set_with(change: impl FnOnce(&mut Config)) -> Self {
        let turn = TURN.lock().await;
        let server = Server::start_with(change).await;
        let city = City::found(&server.url, &server.database).await;
        let ops = city.platform.with_token(&city.ops_token().await);
        let store = city.platform.with_token(&city.store_token().await);
        let network = Network::before(server.app().address()).await;
        let driver = Driver::start();
        Self { driver, network, city, ops, store, server, _turn: turn }
    }

    /// Another person's browser.
    pub async fn page(&self, screen: Screen, path: &str) -> Page {
        Page::open(&self.driver, screen, &format!("{}{path}", self.network.url)).await
    }

    /// A browser that shows nothing yet.
    pub async fn blank(&self, screen: Screen) -> Page {
        Page::blank(&self.driver, screen).await
    }

    /// A page behind a token, as a link that is pasted or scanned.
    pub async fn enter(&self, screen: Screen, path: &str, token: &str) -> Page {
        let page = self.blank(screen).await;
        self.enter_on(&page, path, token).await;
        page
    }

    /// The same in a browser that is there.
    pub async fn enter_on(&self, page: &Page, path: &str, token: &str) {
        page.go(&format!("{}{path}#token={token}", self.network.url)).await;
        page.until("it is live", "document.getElementById('light').dataset.state === 'live'").await;
        assert_eq!(page.run("location.hash").await, "", "the address keeps no token");
    }

    /// A new order; `more` overrides members of the order's body.
    pub async fn order(&self, more: Value) -> Order {
        let order = self.city.order(more).await;
        let text = |name: &str| order[name].as_str().unwrap().to_owned();
        Order { id: text("id"), code: text("short_code") }
    }

    pub async fn act(&self, who: &Rest, order: &Order, action: &str, body: Value) -> Value {
        self.city.act(who, &order.id, action, body).await
    }

    /// An order as dispatchers see it.
    pub async fn see(&self, order: &Order) -> Value {
        self.ops.get(&format!("/v1/orders/{}", order.id)).await.expect(200)
    }

    /// Waits until a member of an order is this.
    pub async fn until_it_is(&self, order: &Order, member: &str, value: &str) -> Value {
        until(&format!("{member} to be {value}"), async || {
            let seen = self.see(order).await;
            (seen[member] == value).then_some(seen)
        })
        .await
    }

    /// This city's courier.
    pub async fn courier(&self) -> Rest {
        self.city.platform.with_token(&self.city.driver_token().await)
    }

    /// An order that is cooked.
    pub async fn cooking(&self) -> Order {
        let order = self.order(json!({})).await;
        self.act(&self.ops, &order, "accept", json!({"prep_min": 15})).await;
        order
    }
}

pub struct Order {
    pub id: String,
    pub code: String,
}
