//! The page of a tracking link: one order as its customer follows it, rendered here, so that it
//! can be read without a script. It comes again by itself while the order goes on.
//!
//! It is made of what [`Api::track`] shows and of nothing else, and every text of it is escaped.

use std::fmt::{self, Write as _};

use actix_web::http::header;
use actix_web::web::{self, Path, ServiceConfig};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError as _};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::HTML;
use crate::api::{Api, Problem, ProblemCode, Tracked};
use crate::http::HttpProblem;

/// What the page may do: be shown, with our style. It asks for nothing and runs nothing.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

/// Seconds until a page of an order that goes on is asked for again.
const AGAIN_S: u32 = 30;

/// Adds the page.
pub(super) fn configure(services: &mut ServiceConfig) {
    services.service(
        web::resource("/t/{token}").route(web::get().to(page)).route(web::head().to(page)),
    );
}

async fn page(api: web::Data<Api>, path: Path<String>) -> HttpResponse {
    match api.track(&path).await {
        Ok(tracked) => respond(HttpResponse::Ok(), &render(&tracked)),
        Err(problem) => refuse(problem),
    }
}

fn refuse(problem: Problem) -> HttpResponse {
    let text = if problem.code == ProblemCode::NotFound {
        "This link leads nowhere. Is it complete?"
    } else if problem.code == ProblemCode::LinkEnded {
        "This link has ended."
    } else {
        // Ours to mend, and to tell like all else.
        return HttpProblem(problem).error_response();
    };
    let page = Page { title: "Order", again_s: None, body: format!("<h1>{text}</h1>") };
    respond(HttpResponse::build(HttpProblem(problem).status_code()), &page)
}

fn respond(mut response: HttpResponseBuilder, page: &Page<'_>) -> HttpResponse {
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header(("x-robots-tag", "noindex"))
        .content_type(HTML)
        .body(page.to_string())
}

/// The frame of the page. `body` is HTML already.
struct Page<'a> {
    title: &'a str,
    again_s: Option<u32>,
    body: String,
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")?;
        f.write_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")?;
        f.write_str("<meta name=\"color-scheme\" content=\"light dark\">\n")?;
        f.write_str("<meta name=\"robots\" content=\"noindex\">\n")?;
        f.write_str("<meta name=\"referrer\" content=\"no-referrer\">\n")?;
        if let Some(seconds) = self.again_s {
            writeln!(f, "<meta http-equiv=\"refresh\" content=\"{seconds}\">")?;
        }
        writeln!(f, "<title>{} · ordercast</title>", Escaped(self.title))?;
        f.write_str("<link rel=\"icon\" href=\"/assets/icon.svg\" type=\"image/svg+xml\">\n")?;
        f.write_str("<link rel=\"stylesheet\" href=\"/assets/style.css\">\n</head>\n")?;
        f.write_str("<body class=\"narrow\" data-loaded=\"yes\">\n<main>\n<div id=\"content\">\n")?;
        f.write_str(&self.body)?;
        f.write_str("</div>\n</main>\n</body>\n</html>\n")
    }
}

/// A text as it stands in HTML, between tags and in quoted attributes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

fn render(tracked: &Tracked) -> Page<'static> {
    let mut body = String::new();
    // Writing to a text cannot fail.
    let _written = write(&mut body, &tracked.body);
    Page { title: "Your order", again_s: tracked.is_open.then_some(AGAIN_S), body }
}

fn text<'a>(view: &'a Value, key: &str) -> Option<&'a str> {
    view.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn list<'a>(view: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    view.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn write(out: &mut String, order: &Value) -> fmt::Result {
    let none = Value::Null;
    let store = order.get("store").unwrap_or(&none);
    let zone = text(store, "tz").and_then(|name| TimeZone::get(name).ok());
    let clock = Clock(zone.unwrap_or(TimeZone::UTC));
    let code = text(order, "short_code").unwrap_or_default();
    writeln!(out, "<h1>Order <span class=\"code\">{}</span></h1>", Escaped(code))?;
    write!(out, "<p class=\"store\">{}", Escaped(text(store, "name").unwrap_or_default()))?;
    if let Some(phone) = text(store, "phone") {
        write!(out, " · {}", Escaped(phone))?;
    }
    out.push_str("</p>\n");
    let last = list(order, "steps").last().and_then(|step| text(step, "step"));
    let last = last.unwrap_or_default();
    writeln!(out, "<div class=\"promise\"><p class=\"now\">{}</p>", word(last))?;
    if let Some(promise) = promise(order, last, &clock) {
        writeln!(out, "<p>{promise}</p>")?;
    }
    out.push_str("</div>\n<ol class=\"steps\" aria-label=\"Steps\">\n");
    for step in list(order, "steps") {
        let name = word(text(step, "step").unwrap_or_default());
        let at = text(step, "at").map(|at| clock.time(at)).unwrap_or_default();
        writeln!(
            out,
            "<li data-state=\"done\"><span aria-hidden=\"true\">●</span><span>{name}</span>\
             <time>{at}</time></li>"
        )?;
    }
    writeln!(out, "</ol>\n<p class=\"help\">Times are the store’s.</p>")?;
    if let Some(driver) = order.get("driver") {
        let name = text(driver, "name").unwrap_or_default();
        writeln!(out, "<section class=\"panel\"><h2>Your courier</h2>\n<p>{}</p>", Escaped(name))?;
        let vehicle = driver.get("vehicle").unwrap_or(&none);
        let about = [text(vehicle, "colour"), text(vehicle, "type"), text(vehicle, "plate")];
        let about: Vec<&str> = about.into_iter().chain([text(driver, "phone")]).flatten().collect();
        writeln!(out, "<p class=\"help\">{}</p></section>", Escaped(&about.join(" · ")))?;
    }
    out.push_str("<section class=\"panel\"><h2>Your order</h2>\n<ul>\n");
    for item in list(order, "items") {
        let qty = item.get("qty").and_then(Value::as_i64).unwrap_or(1);
        let name = text(item, "name").unwrap_or_default();
        writeln!(out, "<li>{qty} × {}</li>", Escaped(name))?;
    }
    out.push_str("</ul>\n<dl>\n");
    let address = order.get("dropoff").and_then(|door| text(door, "address"));
    for (name, value) in
        [("PIN", text(order, "pin")), ("To", address), ("Note", text(order, "note"))]
    {
        if let Some(value) = value {
            writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", Escaped(value))?;
        }
    }
    out.push_str("</dl></section>\n");
    Ok(())
}

/// A step as people read it.
fn word(step: &str) -> &'static str {
    match step {
        "received" => "Received",
        "preparing" => "Preparing",
        "ready" => "Ready to collect",
        "on_the_way" => "On the way",
        "arriving" => "Arriving",
        "delivered" => "Delivered",
        "collected" => "Collected",
        "rejected" => "Not accepted",
        "cancelled" => "Cancelled",
        "failed" => "Not delivered",
        "returning" => "Going back to the store",
        "returned" => "Back at the store",
        _ => "Under way",
    }
}

/// When what is next will be; nothing where nobody knows. Made of times and our own words.
fn promise(order: &Value, last: &str, clock: &Clock) -> Option<String> {
    let time = |key: &str| text(order, key).map(|at| clock.time(at));
    match last {
        "received" => {
            let window = order.get("window")?;
            let (from, to) = (text(window, "from")?, text(window, "to")?);
            Some(format!("Planned for {} {}–{}", clock.day(from), clock.time(from), clock.time(to)))
        }
        "on_the_way" | "arriving" => match (time("dropoff_eta_lo"), time("dropoff_eta_hi")) {
            (Some(lo), Some(hi)) => Some(format!("Arrives {lo}–{hi}")),
            _ => time("dropoff_eta").map(|at| format!("Arrives about {at}")),
        },
        "preparing" => time("ready_eta").map(|at| format!("Ready about {at}")),
        _ => None,
    }
}

/// Times as they stand on the store's clock.
struct Clock(TimeZone);

impl Clock {
    fn show(&self, format: &str, at: &str) -> String {
        let at: Option<Timestamp> = at.parse().ok();
        at.map(|at| at.to_zoned(self.0.clone()).strftime(format).to_string()).unwrap_or_default()
    }
    fn time(&self, at: &str) -> String {
        self.show("%H:%M", at)
    }
    fn day(&self, at: &str) -> String {
        self.show("%a %-d %b", at)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(body: Value) -> String {
        render(&Tracked { body, tag: String::new(), is_open: true }).to_string()
    }

    #[test]
    fn every_text_is_escaped_wherever_it_stands() {
        let evil = "<script>alert('x')</script>\"&";
        let page = shown(json!({
            "short_code": evil, "note": evil, "pin": evil,
            "store": {"name": evil, "phone": evil, "tz": evil},
            "driver": {"name": evil, "phone": evil,
                       "vehicle": {"type": evil, "colour": evil, "plate": evil}},
            "items": [{"name": evil, "qty": 2}],
            "dropoff": {"address": evil},
            "steps": [{"step": evil, "at": evil}],
            "window": {"from": evil, "to": evil},
        }));
        assert!(!page.contains("<script") && !page.contains("alert('"), "{page}");
        let escaped = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;";
        assert_eq!(page.matches(escaped).count(), 12, "{page}");
    }

    #[test]
    fn times_are_those_of_the_stores_clock() {
        let page = shown(json!({
            "store": {"name": "Trattoria", "tz": "Europe/Berlin"},
            "steps": [{"step": "on_the_way", "at": "2025-07-01T16:05:00.000Z"}],
            "dropoff_eta_lo": "2025-07-01T16:20:00.000Z",
            "dropoff_eta_hi": "2025-07-01T16:30:00.000Z",
        }));
        assert!(page.contains("<time>18:05</time>"), "{page}");
        assert!(page.contains("Arrives 18:20–18:30"), "{page}");
    }

    #[test]
    fn it_comes_again_only_while_the_order_goes_on() {
        let again = |is_open| {
            let tracked = Tracked { body: json!({}), tag: String::new(), is_open };
            render(&tracked).to_string().contains("http-equiv=\"refresh\"")
        };
        assert!(again(true) && !again(false));
    }
}
