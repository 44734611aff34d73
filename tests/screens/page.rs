//! A page in a browser of its own, which keeps nothing of another's.

use std::time::Duration;

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use crate::driver::Driver;
use crate::support::until_within;

/// The longest anything in a browser is waited for: machines are busy, and only a failure uses it up.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Presses of Tab that go around the fullest of our pages.
pub const ROUND: usize = 80;

/// What a page is looked at on.
#[derive(Clone, Copy)]
pub enum Screen {
    Phone,
    Tablet,
    Desk,
}

/// A page, and the browser it is open in.
pub struct Page {
    client: Client,
    /// Where the driver takes what only Chromium can.
    session: String,
}

impl Page {
    /// A browser that shows nothing yet.
    pub async fn blank(driver: &Driver, screen: Screen) -> Self {
        let (width, height, mobile) = match screen {
            Screen::Phone => (390, 844, true),
            Screen::Tablet => (1024, 768, false),
            Screen::Desk => (1440, 900, false),
        };
        let size = format!("--window-size={width},{height}");
        let mut options = json!({
            "args": [
                "--headless=new", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", size,
                // What it is shown is ours alone; run by root it does not start otherwise.
                "--no-sandbox",
            ],
            "prefs": {"profile.default_content_setting_values.geolocation": 1},
        });
        let metrics = json!({"width": width, "height": height, "pixelRatio": 1, "mobile": mobile, "touch": mobile});
        options["mobileEmulation"] = json!({"deviceMetrics": metrics});
        let patience_ms = u64::try_from(PATIENCE.as_millis()).unwrap();
        let capabilities = json!({
            "goog:chromeOptions": options,
            "timeouts": {"script": patience_ms, "pageLoad": patience_ms},
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("an object") };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&driver.url())
            .await
            .unwrap();
        let id = client.session_id().await.unwrap().unwrap();
        Self { client, session: format!("{}/session/{id}", driver.url()) }
    }

    /// A browser with this page.
    pub async fn open(driver: &Driver, screen: Screen, url: &str) -> Self {
        let page = Self::blank(driver, screen).await;
        page.go(url).await;
        page
    }

    /// Goes to an address, and waits until it is loaded.
    pub async fn go(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    pub async fn reload(&self) {
        self.client.refresh().await.unwrap();
    }

    /// What the body of a function comes to there, awaited, if it is called with these arguments.
    pub async fn call(&self, names: &[&str], body: &str, values: Vec<Value>) -> Value {
        self.try_call(names, body, values).await.unwrap_or_else(|error| panic!("{body}\n{error}"))
    }

    async fn try_call(
        &self,
        names: &[&str],
        body: &str,
        values: Vec<Value>,
    ) -> Result<Value, CmdError> {
        let script = format!("return (async ({}) => {{ {body} }})(...arguments)", names.join(", "));
        self.client.execute(&script, values).await
    }

    /// What an expression comes to there.
    pub async fn run(&self, expression: &str) -> Value {
        self.call(&[], &format!("return {expression}"), vec![]).await
    }

    /// The text of what an expression comes to.
    pub async fn text(&self, expression: &str) -> String {
        let value = self.run(expression).await;
        value.as_str().unwrap_or_else(|| panic!("{expression} is {value}")).to_owned()
    }

    /// Waits until an expression is true there, and returns what it comes to.
    pub async fn until(&self, what: &str, expression: &str) -> Value {
        // Looked at there for a second at a time, so that both sides are spared.
        let body = format!(
            "for (const end = performance.now() + 1_000; ;) {{
               let value = null;
               try {{ value = {expression}; }} catch {{ /* Not there yet. */ }}
               if (value || performance.now() > end) return value || null;
               await new Promise((resolve) => setTimeout(resolve, 25));
             }}"
        );
        until_within(PATIENCE, &format!("{what}: {expression}"), async || {
            // On its way to another address a page cannot be asked.
            let value = self.try_call(&[], &body, vec![]).await.ok()?;
            (!value.is_null()).then_some(value)
        })
        .await
    }

    /// Clicks what a selector finds first, once that can be done.
    pub async fn click(&self, selector: &str) {
        until_within(PATIENCE, &format!("{selector} to be clicked"), async || {
            let found = self.client.find(Locator::Css(selector)).await.ok()?;
            found.is_enabled().await.ok()?.then_some(())?;
            found.click().await.ok()
        })
        .await;
    }

    /// Types into what a selector finds first.
    pub async fn fill(&self, selector: &str, text: &str) {
        let found = self.client.find(Locator::Css(selector)).await.unwrap();
        found.send_keys(text).await.unwrap();
    }

    /// Presses these keys, one after the other, as [`Key`] names those without a letter.
    pub async fn keys(&self, keys: impl IntoIterator<Item = char>) {
        let mut actions = KeyActions::new("keyboard".to_owned());
        for value in keys {
            actions = actions.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        }
        self.client.perform_actions(actions).await.unwrap();
    }

    pub async fn press(&self, key: Key) {
        self.keys([key.into()]).await;
    }

    /// Goes to what a selector finds by the Tab key, as those do who have no pointer.
    pub async fn tab_to(&self, selector: &str) {
        let there = format!("document.activeElement.matches('{selector}')");
        for _ in 0..ROUND {
            if self.run(&there).await == true {
                return;
            }
            self.press(Key::Tab).await;
        }
        panic!("{selector} is not reached by Tab");
    }

    /// Calls a method of the `DevTools` protocol.
    pub async fn devtools(&self, method: &str, parameters: Value) -> Value {
        let body = json!({"cmd": method, "params": parameters});
        let asked = awc::Client::builder().timeout(PATIENCE).finish();
        let mut answer = asked
            .post(format!("{}/goog/cdp/execute", self.session))
            .send_json(&body)
            .await
            .unwrap();
        let mut answer: Value = answer.json().await.unwrap();
        assert!(answer["value"]["error"].is_null(), "{method}: {answer}");
        answer["value"].take()
    }

    /// As for people who prefer this, as in `("prefers-color-scheme", "dark")`.
    pub async fn prefer(&self, name: &str, value: &str) {
        let features = json!({"features": [{"name": name, "value": value}]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }
}
