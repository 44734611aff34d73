//! Whether everybody can use each page: axe-core finds nothing, and whatever can be done there is
//! reached by the Tab key.

use fantoccini::key::Key;
use serde_json::json;

use crate::page::{Page, ROUND, Screen};
use crate::stage::Stage;

/// Notes whatever gets the focus.
const WATCH: &str = "window.reached = new Set();
  document.addEventListener('focusin', ({ target }) => reached.add(target));";

/// What can be seen and done, and has not had the focus. Of radio buttons one stands for all, and
/// what arrows move between (`tabindex=-1`) has tests of its own.
const MISSED: &str = "const stage = document.querySelector('dialog:modal') ?? document;
  const groups = new Set([...reached].map(({ name }) => name).filter(Boolean));
  return [...stage.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')]
    .filter((part) => {
      const { width, height } = part.getBoundingClientRect();
      return part.tabIndex >= 0 && !part.disabled && width > 0 && height > 0
        && part.checkVisibility({ visibilityProperty: true });
    })
    .filter((part) => !reached.has(part) && !(part.type === 'radio' && groups.has(part.name)))
    .map((part) => part.outerHTML);";

async fn assert_for_everybody(page: &Page, what: &str) {
    page.assert_accessible(what).await;
    page.call(&[], WATCH, vec![]).await;
    page.keys([char::from(Key::Tab); ROUND]).await;
    let missed = page.call(&[], MISSED, vec![]).await;
    assert_eq!(missed, json!([]), "{what}: not reached by Tab");
    assert!(page.run("reached.size").await.as_u64() > Some(0), "{what}: nothing had the focus");
}

#[actix_web::test]
async fn everybody_can_use_the_doors_and_read_about_the_api() {
    let stage = Stage::set().await;
    let page = stage.page(Screen::Desk, "/").await;
    assert_for_everybody(&page, "the doors").await;
    for path in ["/store", "/dispatch", "/courier"] {
        page.go(&format!("{}{path}", stage.network.url)).await;
        page.until("it asks who it is", "!document.getElementById('entry').hidden").await;
        assert_for_everybody(&page, path).await;
        page.prefer("prefers-color-scheme", "dark").await;
        page.assert_accessible(&format!("{path} in the dark")).await;
        page.prefer("prefers-color-scheme", "light").await;
    }
    page.go(&format!("{}/docs#order.accept", stage.network.url)).await;
    page.until("it is drawn", "document.getElementById('note').hidden").await;
    page.until("it is open", "document.getElementById('order.accept').querySelector('.inside')")
        .await;
    page.assert_accessible("the API").await;
    stage.server.stop().await;
}

#[actix_web::test]
async fn everybody_can_use_a_stores_tablet() {
    let stage = Stage::set().await;
    let page = stage.enter(Screen::Tablet, "/store", &stage.city.store_token().await).await;
    let order = stage.cooking().await;
    let cooks = "document.querySelector('#preparing .code')";
    page.until("it cooks", cooks).await;
    assert_for_everybody(&page, "a tablet").await;
    page.run(&format!("{cooks}.focus()")).await;
    page.press(Key::Enter).await;
    page.until("it is open", "document.getElementById('detail').open").await;
    assert_for_everybody(&page, "one order").await;
    page.press(Key::Escape).await;
    page.until("it is closed", "!document.getElementById('detail').open").await;
    stage.act(&stage.ops, &order, "cancel", json!({"reason": "duplicate"})).await;
    page.until("it is told", "document.querySelector('.alert')").await;
    stage.order(json!({})).await;
    page.until("it rings", "document.getElementById('call').open").await;
    assert_for_everybody(&page, "a call").await;
    page.run("document.getElementById('call-reject').focus()").await;
    page.press(Key::Enter).await;
    page.until("it is asked why", "!document.getElementById('call-why').hidden").await;
    assert_for_everybody(&page, "why not").await;
    page.press(Key::Escape).await;
    page.until("it is put away", "!document.getElementById('call').open").await;
    assert_for_everybody(&page, "a tablet with an alert").await;
    stage.server.stop().await;
}

#[actix_web::test]
async fn everybody_can_use_the_board() {
    let stage = Stage::set().await;
    let order = stage.cooking().await;
    stage.order(json!({})).await;
    let page = stage.enter(Screen::Desk, "/dispatch", &stage.city.ops_token().await).await;
    page.until("the orders are there", "document.querySelectorAll('.ticket').length === 2").await;
    page.until("couriers are there", "document.querySelector('.mate')").await;
    assert_for_everybody(&page, "a board").await;
    let card = format!("document.querySelector('.ticket[data-id=\"{}\"] button')", order.id);
    page.run(&format!("{card}.focus()")).await;
    page.press(Key::Enter).await;
    page.until("it is open", "!document.getElementById('dossier').hidden").await;
    assert_for_everybody(&page, "one order").await;
    page.run(&format!("{card}.focus()")).await;
    page.keys(['a']).await;
    page.until("it asks whom", "document.getElementById('picker').open").await;
    assert_for_everybody(&page, "whom to assign").await;
    stage.server.stop().await;
}

#[actix_web::test]
async fn everybody_can_use_a_couriers_phone() {
    let stage = Stage::set().await;
    let (order, second) = (stage.cooking().await, stage.cooking().await);
    let page = stage.enter(Screen::Phone, "/courier", &stage.city.driver_token().await).await;
    for order in [&order, &second] {
        stage.city.assign(&order.id).await;
    }
    page.until("both are there", "document.querySelector('#stops li')").await;
    assert_for_everybody(&page, "two stops").await;
    page.run("document.getElementById('trouble').focus()").await;
    page.press(Key::Enter).await;
    page.until("it is asked what", "document.getElementById('problem').open").await;
    assert_for_everybody(&page, "a problem").await;
    stage.server.stop().await;
}

/// Waits until this has the focus.
async fn holds(page: &Page, what: &str, selector: &str) {
    page.until(what, &format!("document.activeElement.matches('{selector}')")).await;
}

#[actix_web::test]
async fn who_works_by_keyboard_stays_where_they_were() {
    let stage = Stage::set().await;
    let page = stage.enter(Screen::Tablet, "/store", &stage.city.store_token().await).await;
    let (first, second) = (stage.cooking().await, stage.cooking().await);
    page.until("both cook", "document.querySelectorAll('#preparing .slipcard').length === 2").await;
    // What is made ready stands in another column, and another button is on it.
    page.tab_to("#preparing .next").await;
    page.press(Key::Enter).await;
    page.until("it is ready", "document.querySelector('#ready .slipcard')").await;
    holds(&page, "it goes with its order", "#ready .slipcard *").await;
    // What is called off is put away, one after the other.
    for order in [&first, &second] {
        stage.act(&stage.ops, order, "cancel", json!({"reason": "duplicate"})).await;
    }
    page.until("both are told", "document.querySelectorAll('.alert').length === 2").await;
    page.tab_to(".alert button").await;
    page.press(Key::Enter).await;
    page.until("one is put away", "document.querySelectorAll('.alert').length === 1").await;
    holds(&page, "the other is next", ".alert button").await;
    page.press(Key::Enter).await;
    holds(&page, "no other is left", "#pause").await;
    // Closed and open again.
    page.press(Key::Enter).await;
    page.until("it asks for how long", "document.getElementById('pausing').open").await;
    page.tab_to("#pausing .sure").await;
    page.press(Key::Enter).await;
    page.until("it is closed", "!document.getElementById('paused').hidden").await;
    holds(&page, "it can be opened", "#resume").await;
    page.press(Key::Enter).await;
    page.until("it is open", "document.getElementById('paused').hidden").await;
    holds(&page, "it can be closed", "#pause").await;

    let page = stage.enter(Screen::Desk, "/dispatch", &stage.city.ops_token().await).await;
    page.tab_to("#only-late").await;
    page.keys([' ']).await;
    page.tab_to("#unfilter").await;
    page.press(Key::Enter).await;
    holds(&page, "it can be searched", "#find").await;
    stage.server.stop().await;
}
