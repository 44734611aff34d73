//! The page of a tracking link: one order as its customer follows it, rendered here whole, so that
//! it can be read at once and without a script. Where scripts run one keeps it true from then on,
//! by the public API alone; elsewhere it comes again by itself while the order goes on.
//!
//! It is made of what [`Api::track`] shows and of nothing else, and every text of it is escaped.

mod journey;

use std::fmt::{self, Write as _};

use actix_web::http::header;
use actix_web::web::{self, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError as _};
use jiff::Timestamp;
use serde_json::Value;

use self::journey::{Clock, Head, head, ladder};
use super::{HTML, tiles};
use crate::api::{Api, Problem, ProblemCode, Tracked};
use crate::http::HttpProblem;

/// What the page may do: load our files, talk to us, and show a picture that it fetched from here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// Seconds until a page of an order that goes on is asked for again, where no script does better.
const AGAIN_S: u32 = 30;

/// What the steps look like.
const ICONS: &str = include_str!("../assets/steps.svg");

/// The script and what it loads, so that all of it comes at once.
const MODULES: &[&str] = &[
    "track.js",
    "awake.js",
    "client.js",
    "fold.js",
    "geo.js",
    "journey.js",
    "page.js",
    "scan.js",
    "whereabouts.js",
];

/// Adds the page.
pub(super) fn configure(services: &mut ServiceConfig) {
    services.service(
        web::resource("/t/{token}").route(web::get().to(page)).route(web::head().to(page)),
    );
}

async fn page(api: web::Data<Api>, path: Path<String>, request: HttpRequest) -> HttpResponse {
    let policy = tiles::policy(POLICY, &request);
    match api.track(&path).await {
        Ok(tracked) => respond(HttpResponse::Ok(), &policy, &render(&tracked)),
        Err(problem) => refuse(problem, &policy, wants_page(&request)),
    }
}

/// Whether it is a browser that asks, for somebody who reads.
fn wants_page(request: &HttpRequest) -> bool {
    let accepted = request.headers().get_all(header::ACCEPT);
    accepted.into_iter().any(|kinds| kinds.to_str().is_ok_and(|kinds| kinds.contains("text/html")))
}

fn refuse(problem: Problem, policy: &str, wants_page: bool) -> HttpResponse {
    // An empty address is that of the page.
    const AGAIN: &str = "<p><a class=\"button\" href=\"\">Try again</a></p>\n";
    let (text, help, again) = if problem.code == ProblemCode::NotFound {
        let help = "Is it complete? Copy it whole from the message it came in.";
        ("This link leads nowhere.", help, "")
    } else if problem.code == ProblemCode::LinkEnded {
        ("This link has ended.", "Whoever sent it to you can send you another.", "")
    } else if !wants_page {
        // As of any other route, with the id of the request.
        return HttpResponse::from_error(HttpProblem(problem));
    } else if problem.code == ProblemCode::RateLimited {
        let help = "This page was asked for too often. Your order goes on meanwhile.";
        ("One moment, please.", help, AGAIN)
    } else {
        let help = "That is our fault, not yours. Your order goes on meanwhile.";
        ("This page cannot be shown now.", help, AGAIN)
    };
    let body = format!(
        "<main id=\"track\">\n<section class=\"sheet over\"><h1>{text}</h1>\n<p>{help}</p>\n{again}\
         </section>\n</main>\n"
    );
    let page = Page { title: text, again_s: None, is_live: false, body };
    let problem = HttpProblem(problem);
    let mut response = respond(HttpResponse::build(problem.status_code()), policy, &page);
    // When to come back, and what the limit is.
    for (name, value) in problem.error_response().headers() {
        if !response.headers().contains_key(name) {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
    response
}

fn respond(mut response: HttpResponseBuilder, policy: &str, page: &Page<'_>) -> HttpResponse {
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
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
    is_live: bool,
    body: String,
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")?;
        f.write_str(
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1, \
             viewport-fit=cover\">\n",
        )?;
        f.write_str("<meta name=\"color-scheme\" content=\"light dark\">\n")?;
        f.write_str("<meta name=\"robots\" content=\"noindex\">\n")?;
        f.write_str("<meta name=\"referrer\" content=\"no-referrer\">\n")?;
        // A script does without; coming again would only take what it knows.
        if let Some(seconds) = self.again_s {
            writeln!(
                f,
                "<noscript><meta http-equiv=\"refresh\" content=\"{seconds}\"></noscript>"
            )?;
        }
        writeln!(f, "<title>{}</title>", Escaped(self.title))?;
        f.write_str("<link rel=\"icon\" href=\"/assets/icon.svg\" type=\"image/svg+xml\">\n")?;
        f.write_str("<link rel=\"stylesheet\" href=\"/assets/style.css\">\n")?;
        f.write_str("<link rel=\"stylesheet\" href=\"/assets/map.css\">\n")?;
        f.write_str("<link rel=\"stylesheet\" href=\"/assets/track.css\">\n")?;
        if let Some((script, others)) = MODULES.split_first().filter(|_| self.is_live) {
            for other in others {
                writeln!(f, "<link rel=\"modulepreload\" href=\"/assets/{other}\">")?;
            }
            writeln!(f, "<script type=\"module\" src=\"/assets/{script}\"></script>")?;
        }
        write!(f, "</head>\n<body class=\"track\">\n{}</body>\n</html>\n", self.body)
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
    let _written = write(&mut body, &tracked.body, tracked.at);
    let again_s = tracked.is_open.then_some(AGAIN_S);
    Page { title: "Your order", again_s, is_live: true, body }
}

/// A text of a view, unless it is absent or empty.
fn text<'a>(view: &'a Value, key: &str) -> Option<&'a str> {
    view.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn list<'a>(view: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    view.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// The attribute of what is there only to be filled by the script.
const fn hidden(is_hidden: bool) -> &'static str {
    if is_hidden { " hidden" } else { "" }
}

fn write(out: &mut String, order: &Value, now: Timestamp) -> fmt::Result {
    let none = Value::Null;
    let store = order.get("store").unwrap_or(&none);
    let clock = Clock::of(store);
    out.push_str(ICONS);
    let name = text(store, "name").unwrap_or_default();
    let code = text(order, "short_code").unwrap_or_default();
    write!(
        out,
        "<header class=\"bar\">\n<p class=\"shop\"><b id=\"store\">{}</b> <span class=\"order\">Order \
         <span id=\"code\">{}</span></span></p>\n<p id=\"light\" class=\"pulse\" data-state=\"near\">\
         <span aria-hidden=\"true\">●</span> <span>As of {}</span></p>\n</header>\n",
        Escaped(name),
        Escaped(code),
        clock.time_of(now),
    )?;
    write!(
        out,
        "<main id=\"track\" data-order=\"{}\">\n\
         <p id=\"announce\" class=\"spoken\" role=\"status\"></p>\n",
        Escaped(text(order, "id").unwrap_or_default())
    )?;
    out.push_str("<div class=\"side\">\n");
    write_hero(out, order, &head(order, &clock, now), &clock)?;
    out.push_str(concat!(
        "<section id=\"where\" class=\"sheet where\" aria-labelledby=\"h-where\" hidden>\n",
        "<h2 id=\"h-where\" class=\"spoken\">Where your courier is</h2>\n",
        "<div id=\"map\" class=\"map\" aria-hidden=\"true\"></div>\n",
        "<p class=\"words\"><span id=\"twin\"></span> <span id=\"age\" class=\"aged\" hidden></span></p>\n",
        "</section>\n</div>\n<div class=\"side\">\n",
    ));
    write_courier(out, order.get("driver"))?;
    let is_over = journey::is_over(order);
    let pin = text(order, "pin").filter(|_| !is_over);
    let is_collected = text(order, "fulfilment") == Some("collection");
    let told_to = if is_collected {
        "Show it when you collect."
    } else {
        "Tell it to your courier at the door."
    };
    write!(
        out,
        "<section id=\"pin-card\" class=\"sheet pin-card\" aria-labelledby=\"h-pin\"{}>\n\
         <div><h2 id=\"h-pin\">Your PIN</h2>\n<p class=\"quiet\">{told_to}</p></div>\n<p id=\"pin\" class=\"pin\">{}</p>\n</section>\n",
        hidden(pin.is_none()),
        Escaped(pin.unwrap_or_default()),
    )?;
    out.push_str(concat!(
        "<section id=\"proof\" class=\"sheet\" aria-labelledby=\"h-proof\" hidden>\n",
        "<h2 id=\"h-proof\">Handed over</h2>\n<div id=\"photos\"></div>\n</section>\n",
        "<template id=\"photo\"><figure><img alt=\"Photo of the hand-over\">",
        "<a rel=\"noreferrer noopener\" target=\"_blank\">See the photo</a>",
        "<figcaption></figcaption></figure></template>\n",
    ));
    write_details(out, order, store)?;
    out.push_str("</div>\n</main>\n");
    Ok(())
}

/// Where it stands, when it comes, and the steps.
fn write_hero(out: &mut String, order: &Value, told: &Head, clock: &Clock) -> fmt::Result {
    let line = |id: &str, tag: &str, text: &str| {
        format!("<{tag} id=\"{id}\"{}>{}</{tag}>", hidden(text.is_empty()), Escaped(text))
    };
    write!(
        out,
        "<section id=\"hero\" class=\"hero\" data-tone=\"{}\">\n<div class=\"top-line\">\n\
         <h1 id=\"now\">{}</h1>\n<p class=\"eta\">{} {}</p>\n</div>\n{}\n\
         <p id=\"slip\" class=\"slip\" hidden></p>\n",
        told.tone,
        told.line,
        line("label", "span", &told.label),
        line("time", "b", &told.time),
        line("note", "p", &told.note),
    )?;
    out.push_str("</section>\n<section class=\"sheet way\">\n<h2 class=\"spoken\">Steps</h2>\n");
    out.push_str("<ol id=\"steps\" class=\"ladder\">\n");
    for step in ladder(order) {
        let at = step.at.map(|at| (Escaped(at), clock.time(at)));
        let time = at.map_or_else(
            || "<time></time>".to_owned(),
            |(stamp, shown)| format!("<time datetime=\"{stamp}\">{shown}</time>"),
        );
        let here = if step.state == "here" { " aria-current=\"step\"" } else { "" };
        let said = match step.state {
            "done" => "done",
            "here" => "now",
            _ => "to come",
        };
        writeln!(
            out,
            "<li data-state=\"{state}\" data-step=\"{name}\"{here}><span class=\"mark\"><svg \
             aria-hidden=\"true\"><use href=\"#i-{name}\"/></svg></span><span>{word}</span>{time}\
             <span class=\"spoken\">{said}</span></li>",
            state = step.state,
            name = step.name,
            word = step.word,
        )?;
    }
    out.push_str("</ol>\n</section>\n");
    Ok(())
}

fn write_courier(out: &mut String, driver: Option<&Value>) -> fmt::Result {
    let none = Value::Null;
    let shown = driver.unwrap_or(&none);
    let name = text(shown, "name").unwrap_or_default();
    let vehicle = shown.get("vehicle").unwrap_or(&none);
    let both = [text(vehicle, "colour"), text(vehicle, "type")];
    let both = both.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let about = [Some(both.as_str()).filter(|both| !both.is_empty())];
    let about = about.into_iter().chain([text(vehicle, "make"), text(vehicle, "plate")]);
    let about = about.flatten().collect::<Vec<_>>().join(" · ");
    let phone = text(shown, "phone").map(|phone| format!("Calls you from {phone}"));
    let phone = phone.unwrap_or_default();
    write!(
        out,
        "<section id=\"courier\" class=\"sheet courier\" aria-labelledby=\"courier-head\"{}>\n\
         <span id=\"courier-face\" class=\"face\" aria-hidden=\"true\">{}</span>\n\
         <div>\n<h2 id=\"courier-head\">Your courier</h2>\n\
         <p id=\"courier-name\" class=\"name\">{}</p>\n\
         <p id=\"courier-vehicle\" class=\"quiet\"{}>{}</p>\n\
         <p id=\"courier-phone\" class=\"quiet\"{}>{}</p>\n</div>\n</section>\n",
        hidden(driver.is_none()),
        Escaped(name.get(..name.chars().next().map_or(0, char::len_utf8)).unwrap_or_default()),
        Escaped(name),
        hidden(about.is_empty()),
        Escaped(&about),
        hidden(phone.is_empty()),
        Escaped(&phone),
    )
}

fn write_details(out: &mut String, order: &Value, store: &Value) -> fmt::Result {
    out.push_str("<section class=\"sheet\" aria-labelledby=\"h-details\">\n");
    out.push_str("<h2 id=\"h-details\">Your order</h2>\n<ul id=\"items\" class=\"items\">\n");
    for item in list(order, "items") {
        let qty = item.get("qty").and_then(Value::as_i64).unwrap_or(1);
        let name = text(item, "name").unwrap_or_default();
        writeln!(out, "<li>{qty} × {}</li>", Escaped(name))?;
    }
    out.push_str("</ul>\n<dl>\n");
    let address = order.get("dropoff").and_then(|door| text(door, "address"));
    for (id, name, value) in [("to", "To", address), ("remark", "Note", text(order, "note"))] {
        writeln!(
            out,
            "<div id=\"{id}-field\"{}><dt>{name}</dt><dd id=\"{id}\">{}</dd></div>",
            hidden(value.is_none()),
            Escaped(value.unwrap_or_default()),
        )?;
    }
    let phone = text(store, "phone");
    let digits = phone.unwrap_or_default().chars();
    let digits: String = digits.filter(|it| it.is_ascii_digit() || *it == '+').collect();
    write!(
        out,
        "</dl>\n<p class=\"help-line\"><a id=\"call\" class=\"call\" href=\"tel:{digits}\"{}>Help: call \
         the store</a></p>\n<p id=\"zone\" class=\"quiet\" hidden></p>\n</section>\n",
        hidden(phone.is_none()),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(body: Value) -> String {
        let at = "2025-07-01T16:10:00Z".parse().unwrap();
        render(&Tracked { body, tag: String::new(), is_open: true, at }).to_string()
    }

    #[test]
    fn every_text_is_escaped_wherever_it_stands() {
        let evil = "<script>alert('x')</script>\"&";
        let page = shown(json!({
            "id": evil, "short_code": evil, "note": evil, "pin": evil,
            "store": {"name": evil, "phone": evil, "tz": evil},
            "driver": {"name": evil, "phone": evil,
                       "vehicle": {"type": evil, "colour": evil, "make": evil, "plate": evil}},
            "items": [{"name": evil, "qty": 2}],
            "dropoff": {"address": evil},
            "steps": [{"step": evil, "at": evil}],
            "window": {"from": evil, "to": evil},
            "reason": {"code": evil, "by": evil, "note": evil},
        }));
        assert!(!page.contains("<script>") && !page.contains("alert('"), "{page}");
        let escaped = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;";
        assert_eq!(page.matches(escaped).count(), 14, "{page}");
    }

    #[test]
    fn times_are_those_of_the_stores_clock() {
        let page = shown(json!({
            "store": {"name": "Trattoria", "tz": "Europe/Berlin"},
            "steps": [{"step": "on_the_way", "at": "2025-07-01T16:05:00.000Z"}],
            "dropoff_eta": "2025-07-01T16:25:00.000Z",
            "dropoff_eta_lo": "2025-07-01T16:20:00.000Z",
            "dropoff_eta_hi": "2025-07-01T16:30:00.000Z",
        }));
        assert!(page.contains(">18:05</time>"), "{page}");
        assert!(page.contains("<b id=\"time\">18:20–18:30</b>"), "{page}");
        assert!(page.contains("As of 18:10"), "{page}");
    }

    #[test]
    fn it_comes_again_without_a_script_and_only_while_the_order_goes_on() {
        let again = |is_open| {
            let (body, tag, at) = (json!({}), String::new(), Timestamp::UNIX_EPOCH);
            let page = render(&Tracked { body, tag, is_open, at }).to_string();
            page.contains("<noscript><meta http-equiv=\"refresh\"")
        };
        assert!(again(true) && !again(false));
    }

    #[test]
    fn whatever_it_loads_is_served() {
        let page = shown(json!({}));
        let served: Vec<_> = super::super::ASSETS.iter().map(|asset| asset.path).collect();
        let named = page.split("=\"/assets/").skip(1).filter_map(|rest| rest.split('"').next());
        let named: Vec<_> = named.map(|name| format!("/assets/{name}")).collect();
        assert!(named.len() > MODULES.len(), "{named:?}");
        for name in named {
            assert!(served.contains(&&*name), "{name}");
        }
    }
}
