//! `GET /v1/sse`: one channel as Server-Sent Events, for browsers' `EventSource` and for `curl`.
//!
//! An `EventSource` comes back by itself and says what it heard last, but it can set no header
//! and stops for good at any status but 200. So its token may come in a cookie, and what passes
//! by itself is told to one who comes back by a stream that ends at once.

use actix_web::http::header::{self, HeaderName};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::api::{Api, Problem, ProblemCode};
use crate::auth::Principal;
use crate::domain::{Status, StoreId, Word as _};
use crate::http::HttpProblem;
use crate::hub::{LocalHub, Publication};
use crate::protocol::code::{Disconnect, ErrorCode};
use crate::protocol::{Position, RawJson, Subscribe};
use crate::session::{
    Follow, Source as _, Turned, bearer_token, come_again, follow, has_room, is_origin_allowed,
};

/// The cookie of those who can set no header.
const COOKIE: &str = "ordercast_sse";
/// What an `EventSource` that comes back heard last.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Integers of the wire fit a JavaScript number.
const OFFSET_MAX: u64 = (1 << 53) - 1;

/// Adds the routes of plain clients.
pub fn configure(services: &mut ServiceConfig) {
    services
        .service(web::resource("/v1/sse").route(web::get().to(open)))
        .service(web::resource("/v1/sse/cookie").route(web::post().to(give_cookie)));
}

/// `GET /v1/sse?channel=…`.
async fn open(
    api: web::Data<Api>,
    hub: web::Data<LocalHub<Publication>>,
    request: HttpRequest,
) -> Result<HttpResponse, HttpProblem> {
    let comes_back = last_header(&request).is_some();
    match start(api.clone(), &hub, &request).await {
        Err(problem) if comes_back && problem.retry_after.is_some() => {
            Ok(come_again(&**api, Disconnect::SERVER_ERROR))
        }
        answer => answer.map_err(HttpProblem),
    }
}

async fn start(
    api: web::Data<Api>,
    hub: &LocalHub<Publication>,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    if !has_room(&**api) {
        return Err(Problem::overloaded());
    }
    check_origin(&api, request)?;
    let token =
        bearer(request)?.or_else(|| cookie(request)).ok_or_else(Problem::unauthenticated)?;
    let who = api.authenticate(&token).await?;
    let asked = Asked::read(request)?;
    let renewed = api.seated(api.known(who)).map_err(|_full| Problem::overloaded())?;
    let (ask, last) = (asked.subscribe(), asked.last);
    follow(api, hub, Follow { renewed, ask, last }).await.map_err(|turned| match turned {
        // Its right has ended since it was judged.
        Turned::Out(Disconnect::INVALID_TOKEN) => Problem::unauthenticated(),
        Turned::Out(_) => channel_problem(ProblemCode::Validation, "is no name of a channel"),
        Turned::Away(error) if error.temporary => Problem::overloaded(),
        Turned::Away(error) if error.code == ErrorCode::UNKNOWN_CHANNEL.code => {
            channel_problem(ProblemCode::NotFound, "there is no such channel")
        }
        Turned::Away(error) if error.code == ErrorCode::PERMISSION_DENIED.code => {
            channel_problem(ProblemCode::RoleNotAllowed, "is not yours to hear")
        }
        Turned::Away(error) => channel_problem(ProblemCode::Validation, &error.message),
    })
}

/// `POST /v1/sse/cookie`: the token of the request as a cookie, for this path alone and out of
/// reach of scripts.
async fn give_cookie(
    api: web::Data<Api>,
    request: HttpRequest,
) -> Result<HttpResponse, HttpProblem> {
    check_origin(&api, &request)?;
    let token = bearer(&request)?.ok_or_else(Problem::unauthenticated)?;
    let who = api.authenticate(&token).await?;
    let left = left_s(&api, &who).ok_or_else(|| {
        let detail = "an API key does not belong into a browser; give it a token";
        Problem::new(ProblemCode::RoleNotAllowed, detail)
    })?;
    let proto = request.headers().get("x-forwarded-proto");
    let by_https = proto.is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
    let secure = if by_https { "; Secure" } else { "" };
    let cookie = format!(
        "{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/v1/sse; Max-Age={left}{secure}"
    );
    Ok(HttpResponse::NoContent()
        .insert_header((header::SET_COOKIE, cookie))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish())
}

/// Seconds until the caller's right ends; none if it does not.
fn left_s(api: &Api, who: &Principal) -> Option<i64> {
    who.expires_at.map(|at| at.as_second().saturating_sub(api.now().as_second()).max(0))
}

fn check_origin(api: &Api, request: &HttpRequest) -> Result<(), Problem> {
    if is_origin_allowed(request, &api.settings().allowed_origins) {
        return Ok(());
    }
    Err(Problem::new(ProblemCode::RoleNotAllowed, "this origin is not allowed"))
}

fn channel_problem(code: ProblemCode, detail: &str) -> Problem {
    Problem { code, ..Problem::field("channel", detail) }
}

/// The token of the `Authorization` header, if there is such a header; one that cannot be read
/// is not good.
fn bearer(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let Some(value) = request.headers().get(header::AUTHORIZATION) else { return Ok(None) };
    let token = bearer_token(value).map(str::to_owned);
    token.map(Some).ok_or_else(Problem::unauthenticated)
}

/// The token of the cookie.
fn cookie(request: &HttpRequest) -> Option<String> {
    let lines = request.headers().get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let (_name, token) = pairs.find(|(name, _)| name.trim() == COOKIE)?;
    Some(token.trim().to_owned())
}

/// An empty one is as good as none.
fn last_header(request: &HttpRequest) -> Option<&[u8]> {
    let value = request.headers().get(LAST_EVENT_ID)?.as_bytes();
    (!value.is_empty()).then_some(value)
}

/// What a request asks for.
#[derive(Default)]
struct Asked {
    channel: String,
    stores: Vec<String>,
    statuses: Vec<String>,
    area: Option<[f64; 4]>,
    locations: bool,
    last: Option<Position>,
}

impl Asked {
    fn read(request: &HttpRequest) -> Result<Self, Problem> {
        let unreadable =
            |_| Problem::new(ProblemCode::Malformed, "the query string cannot be read");
        let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
        let mut asked = Self::default();
        for (name, value) in query.map_err(unreadable)?.into_inner() {
            let words = || value.split(',').map(str::to_owned);
            match name.as_str() {
                "channel" if asked.channel.is_empty() => asked.channel = value,
                "store" => asked.stores.extend(words()),
                "status" => asked.statuses.extend(words()),
                "area" => asked.area = Some(sides(&value)?),
                "locations" if value == "true" => asked.locations = true,
                "last_event_id" => asked.last = Some(position("last_event_id", &value)?),
                _ => return Err(Problem::field(name, "is no parameter of this request")),
            }
        }
        if asked.channel.is_empty() {
            return Err(Problem::field("channel", "is required"));
        }
        // The address is the same each time a browser comes back; the header is newer.
        if let Some(value) = last_header(request) {
            let text = str::from_utf8(value).unwrap_or_default();
            asked.last = Some(position("Last-Event-ID", text)?);
        }
        asked.check_filter()?;
        Ok(asked)
    }

    /// The filter is read again where all channels are opened; here the field is known.
    fn check_filter(&self) -> Result<(), Problem> {
        for (field, given) in [("store", &self.stores), ("status", &self.statuses)] {
            if !given.is_empty() && self.channel != "dispatch" {
                return Err(Problem::field(field, "is for the channel dispatch only"));
            }
        }
        if self.area.is_some() && self.channel != "dispatch" {
            return Err(Problem::field("area", "is for the channel dispatch only"));
        }
        if self.locations && self.channel != "tenant" {
            return Err(Problem::field("locations", "is for the channel tenant only"));
        }
        for text in &self.stores {
            let store = text.parse::<StoreId>();
            store.map_err(|error| Problem::field("store", error.to_string()))?;
        }
        for text in &self.statuses {
            let status = Status::find(text);
            status.map_err(|error| Problem::field("status", error.to_string()))?;
        }
        Ok(())
    }

    fn subscribe(&self) -> Subscribe {
        let mut filter = serde_json::Map::new();
        for (field, given) in [("store", &self.stores), ("status", &self.statuses)] {
            if !given.is_empty() {
                filter.insert(field.to_owned(), json!(given));
            }
        }
        if let Some(area) = self.area {
            filter.insert("area".to_owned(), json!(area));
        }
        if self.locations {
            filter.insert("locations".to_owned(), true.into());
        }
        let filter = (!filter.is_empty()).then(|| serde_json::value::to_raw_value(&filter).ok());
        let data: Option<Box<RawJson>> = filter.flatten();
        Subscribe { channel: self.channel.clone(), data, ..Subscribe::default() }
    }
}

/// A part of the map: `south,west,north,east`.
fn sides(text: &str) -> Result<[f64; 4], Problem> {
    let sides: Option<Vec<f64>> = text.split(',').map(|side| side.trim().parse().ok()).collect();
    let sides = sides.and_then(|sides| <[f64; 4]>::try_from(sides).ok());
    let sides = sides.filter(|sides| super::open::area(*sides).is_some());
    sides.ok_or_else(|| Problem::field("area", "must be south,west,north,east in degrees"))
}

/// What stood behind `id:` in an event.
fn position(field: &str, text: &str) -> Result<Position, Problem> {
    let read = || {
        let (epoch, offset) = text.rsplit_once(':')?;
        let offset = offset.parse().ok().filter(|offset| *offset <= OFFSET_MAX)?;
        // Without an epoch it would be a position of any log.
        (!epoch.is_empty()).then(|| Position { epoch: epoch.to_owned(), offset })
    };
    read().ok_or_else(|| Problem::field(field, "is no id of an event of ours"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_an_epoch_and_an_offset() {
        let read = position("id", "e:1:42").unwrap();
        assert_eq!((read.epoch.as_str(), read.offset), ("e:1", 42));
        for text in ["", ":", "e", "e:", ":7", "e:-1", "e:x", "e:9007199254740992", "e:7 "] {
            let problem = position("id", text).unwrap_err();
            assert_eq!(problem.fields[0].field, "id", "{text:?}");
        }
    }
}
