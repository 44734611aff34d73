//! A tenant with a store and couriers, and all the tokens.

use std::sync::atomic::{AtomicU32, Ordering};

use ordercast::auth;
use ordercast::domain::{CredentialId, TenantId};
use serde_json::{Value, json};

use super::{Rest, Scratch};

/// A tenant of its own, with one store and one courier on duty.
#[derive(Clone)]
pub struct City {
    pub tenant: String,
    /// The platform's API key.
    pub key: String,
    pub platform: Rest,
    pub store: String,
    pub driver: String,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

fn number() -> u32 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl City {
    /// Makes a tenant straight in the database, as the command line does, and the rest over REST.
    pub async fn found(base: &str, database: &Scratch) -> Self {
        let tenant = TenantId::new();
        let (key, hash) = auth::new_api_key();
        let client = database.connect().await;
        let name = format!("tenant {}", number());
        // Couriers are named here, unless a test is about searching for them.
        let insert = "insert into tenants (id, name, offer_mode) values ($1, $2, null)";
        client.execute(insert, &[&tenant.uuid(), &name]).await.unwrap();
        let insert = "insert into credentials (id, tenant_id, kind, subject_id, hash)
                      values ($1, $2, 'api_key', 'back end', $3)";
        let credential = CredentialId::new().uuid();
        client.execute(insert, &[&credential, &tenant.uuid(), &hash]).await.unwrap();
        let platform = Rest::new(base, Some(&key));
        let mut city = Self {
            tenant: tenant.to_string(),
            key,
            platform,
            store: String::new(),
            driver: String::new(),
        };
        city.store = city.new_store(json!({})).await;
        city.driver = city.new_driver(json!({})).await;
        city
    }

    /// Another store; `more` overrides members of the body. Its id.
    pub async fn new_store(&self, more: Value) -> String {
        let body = json!({
            "external_id": format!("store-{}", number()), "name": "Trattoria",
            "lat": 52.5200, "lng": 13.4050, "tz": "Europe/Berlin", "phone": "+49 30 1234567",
        });
        let store = self.platform.post("/v1/stores", merged(body, more)).await.expect(201);
        store["id"].as_str().unwrap().to_owned()
    }

    /// Another courier, on duty; `more` overrides members of the body. Its id.
    pub async fn new_driver(&self, more: Value) -> String {
        let body = json!({
            "external_id": format!("driver-{}", number()), "name": "Cori Rossi",
            "phone": "+49 170 7654321", "capacity": 50,
            "vehicle": {"type": "scooter", "colour": "red", "plate": "B-CR 1"},
        });
        let driver = self.platform.post("/v1/drivers", merged(body, more)).await.expect(201);
        let id = driver["id"].as_str().unwrap().to_owned();
        let duty = json!({"duty": "on"});
        self.platform.put(&format!("/v1/drivers/{id}/duty"), duty).await.expect(200);
        id
    }

    /// The body of an order for this city; `more` overrides members.
    pub fn order_body(&self, more: Value) -> Value {
        let body = json!({
            "external_id": format!("order-{}", number()), "store": self.store,
            "items": [{"name": "Pizza Margherita", "qty": 2}, {"name": "Water", "qty": 1}],
            "dropoff": {
                "name": "Ann Lee", "phone": "+49 151 99887766",
                "address": "Hauptstr. 1, Mitte, Berlin", "lat": 52.5300, "lng": 13.4100,
                "notes": "ring twice",
            },
        });
        merged(body, more)
    }

    /// A new order; `more` overrides members of the body. Its view.
    pub async fn order(&self, more: Value) -> Value {
        self.platform.post("/v1/orders", self.order_body(more)).await.expect(201)
    }

    /// A new order's id.
    pub async fn order_id(&self) -> String {
        self.order(json!({})).await["id"].as_str().unwrap().to_owned()
    }

    /// A token for someone of this tenant.
    pub async fn token(&self, kind: &str, subject: &str, orders: &[&str]) -> String {
        let body = json!({"kind": kind, "subject": subject, "orders": orders});
        let issued = self.platform.post("/v1/tokens", body).await.expect(201);
        issued["token"].as_str().unwrap().to_owned()
    }
    pub async fn store_token(&self) -> String {
        self.token("store", &self.store, &[]).await
    }
    pub async fn driver_token(&self) -> String {
        self.token("driver", &self.driver, &[]).await
    }
    pub async fn ops_token(&self) -> String {
        self.token("ops", "ann", &[]).await
    }
    pub async fn customer_token(&self, order: &str) -> String {
        self.token("customer", "customer-1", &[order]).await
    }

    /// Calls as someone of this city: its `platform`, `ops`, `store` or `driver`, or the
    /// `customer` of `order`.
    pub async fn caller(&self, role: &str, order: &str) -> Rest {
        let token = match role {
            "platform" => self.key.clone(),
            "ops" => self.ops_token().await,
            "store" => self.store_token().await,
            "driver" => self.driver_token().await,
            "customer" => self.customer_token(order).await,
            _ => panic!("no such role: {role}"),
        };
        self.platform.with_token(&token)
    }

    /// Does an action as the platform's dispatcher would; the order's view.
    pub async fn act(&self, who: &Rest, order: &str, action: &str, body: Value) -> Value {
        who.post(&format!("/v1/orders/{order}/{action}"), body).await.expect(200)
    }

    /// A tracking link of an order; what is answered.
    pub async fn link(&self, order: &str) -> Value {
        self.platform.post(&format!("/v1/orders/{order}/links"), json!({})).await.expect(201)
    }

    /// Assigns this city's courier.
    pub async fn assign(&self, order: &str) -> Value {
        let body = json!({"driver": self.driver});
        self.platform.put(&format!("/v1/orders/{order}/driver"), body).await.expect(200)
    }
}

/// `body` with the members of `more` put over its own.
pub fn merged(mut body: Value, more: Value) -> Value {
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    body
}
