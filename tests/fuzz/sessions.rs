//! Whole connections, in both codecs, that say anything in any order to a real server.

use std::cell::{Cell, RefCell};

use futures::future::join_all;
use ordercast::auth::{API_KEY_PREFIX, LINK_PREFIX};
use ordercast::protocol::code::Disconnect;
use ordercast::protocol::{Codec, Command, Request};
use serde_json::{Value, json};

use crate::allocation::held;
use crate::bytes::{seeds, spoil};
use crate::chance::{Chance, Run, Witness, hex};
use crate::judge::{Judge, Verdict};
use crate::people::{Role, World};
use crate::support::raw::{BINARY, CLOSE, PING, TEXT};
use crate::support::{Caller, Closed, client_frame, dialect, until};

/// Connections at a time.
const LANES: usize = 4;
/// What may be held more than when the first quarter of the time was over, in bytes: nothing that
/// grows with the number of connections.
const GROWTH: i64 = 4 << 20;
/// What the connections under way may hold, in bytes.
const UNDER_WAY: i64 = 96 << 20;

fn assert_closed(heard: &Closed, expected: Disconnect) {
    let Disconnect { code, reason } = expected;
    assert_eq!(*heard, Closed { code: Some(code), reason: reason.to_owned() });
}

/// One connection, followed by a judge.
struct Session<'a> {
    world: &'a World,
    judge: Judge<'a>,
    caller: Caller,
    transcript: &'a RefCell<Vec<String>>,
    commands: u64,
}

impl Session<'_> {
    /// The next reply; pushes before it are judged, pings answered.
    async fn reply(&mut self) -> Result<Value, Closed> {
        loop {
            let heard = self.caller.listen().await?;
            self.transcript.borrow_mut().push(format!("<- {heard}"));
            self.assert_nothing_foreign(&heard);
            if let Some(push) = heard.get("push") {
                self.judge.hear_push(push);
            } else if heard == json!({}) {
                self.caller.say(&[json!({})]).await;
            } else {
                return Ok(heard);
            }
        }
    }

    /// Every order says whose it is, and so do all the orders of a snapshot.
    fn assert_nothing_foreign(&self, heard: &Value) {
        let text = heard.to_string();
        for (nth, home) in self.world.homes.iter().enumerate() {
            if self.judge.tenant().is_some_and(|own| own != nth) {
                assert!(!text.contains(&home.city.tenant), "another tenant's: {text}");
            }
        }
    }

    /// Says a message and hears what comes of it; false at the end of the connection.
    async fn say(&mut self, chance: &mut Chance, message: &[u8]) -> bool {
        let codec = self.caller.codec;
        self.transcript.borrow_mut().push(format!("-> {}", hex(message)));
        if message.len() > 2 && chance.one_in(10) {
            let (head, tail) = message.split_at(chance.below(message.len()));
            let first = if codec.is_text() { 0x01 } else { 0x02 };
            let mut frames = client_frame(first, head);
            frames.extend(client_frame(PING, b"between"));
            frames.extend(client_frame(0x80, tail));
            self.caller.raw.send(&frames).await;
        } else {
            self.caller.say_bytes(message).await;
        }
        let commands = match Judge::read(codec, message) {
            Ok(commands) => commands,
            Err(expected) => {
                self.ends(expected, None).await;
                return false;
            }
        };
        for command in &commands {
            self.commands += 1;
            let expected = self.judge.expect(command);
            match expected {
                Verdict::Silence => {}
                Verdict::End(expected) => {
                    self.ends(expected, Some(command)).await;
                    return false;
                }
                Verdict::Result(_)
                | Verdict::Error(_)
                | Verdict::Any(..)
                | Verdict::Answer
                | Verdict::AnswerIfKnown => {
                    let reply = self.reply().await;
                    let reply = reply.unwrap_or_else(|closed| {
                        panic!("expected {expected:?} of {command:?}, heard {closed:?}")
                    });
                    // What a newer token opens is known before what it ends is pushed.
                    self.judge.hear_reply(command, &expected, &reply);
                }
            }
        }
        true
    }

    /// The connection must end so, without another reply.
    async fn ends(&mut self, expected: Disconnect, command: Option<&Command>) {
        match self.reply().await {
            // Whose an API key or a link is the database says; too busy to say so in time is no verdict. Of
            // tokens it is not asked.
            Ok(reply)
                if asks_database(command)
                    && expected == Disconnect::INVALID_TOKEN
                    && reply["error"]["code"] == 100
                    && reply["error"]["temporary"] == true => {}
            Ok(reply) => panic!("expected {expected:?}, heard {reply}"),
            Err(closed) => assert_closed(&closed, expected),
        }
    }
}

/// Whether a command is answered by looking up an API key or a link.
fn asks_database(command: Option<&Command>) -> bool {
    let is_looked_up =
        |token: &str| [API_KEY_PREFIX, LINK_PREFIX].iter().any(|prefix| token.starts_with(prefix));
    match command.map(|command| &command.request) {
        Some(Request::Connect(connect)) => is_looked_up(&connect.token),
        Some(Request::Refresh { token }) => is_looked_up(token),
        _ => false,
    }
}

/// A message of some commands, spoilt now and then.
fn message(
    chance: &mut Chance,
    world: &World,
    judge: &Judge<'_>,
    codec: Codec,
    seeds: &[Vec<u8>],
    is_first: bool,
) -> Vec<u8> {
    let mut commands = Vec::new();
    if is_first && !chance.one_in(12) || chance.one_in(60) {
        commands.push(world.connect(chance, judge.top));
    }
    let more = if is_first { chance.below(3) } else { 1 + chance.below(4) };
    for _ in 0..more {
        commands.push(world.command(chance, judge.top));
    }
    if chance.one_in(80) {
        // More than one may ask for at once, or nearly.
        let one = commands.last().cloned().unwrap_or_else(|| json!({}));
        commands.resize(*chance.pick(&[255, 256, 257, 300]), one);
    }
    if commands.is_empty() {
        commands.push(json!({}));
    }
    let mut message = dialect::message(codec, &commands);
    if chance.one_in(12) {
        for _ in 0..=chance.below(2) {
            spoil(chance, &mut message, seeds);
        }
    } else if chance.one_in(60) {
        message.clone_from(chance.pick(seeds));
    } else if codec == Codec::Json && chance.one_in(8) {
        let padding = *chance.pick(&["\n", " ", "\n{}", "\r\n\n"]);
        message.extend(padding.bytes());
    }
    message
}

/// One connection from its first byte to its last; how many commands it sent.
async fn session(chance: &mut Chance, world: &World, seeds: &[(Codec, Vec<Vec<u8>>)]) -> u64 {
    let (codec, seeds) = chance.pick(seeds);
    let transcript = RefCell::new(Vec::new());
    let _witness =
        Witness(|| format!("{codec:?}, a connection:\n{}\n", transcript.borrow().join("\n")));
    let caller = Caller::open(&world.server.url, *codec).await;
    let judge = Judge::new(world);
    let mut session = Session { world, judge, caller, transcript: &transcript, commands: 0 };
    for nth in 0..=chance.below(14) {
        let message = message(chance, world, &session.judge, *codec, seeds, nth == 0);
        if !session.say(chance, &message).await {
            return session.commands;
        }
    }
    if !session.judge.is_open() {
        return session.commands;
    }
    // All has been answered when this is.
    let last = dialect::message(*codec, &[json!({"id": 7, "rpc": {"method": "no.such"}})]);
    session.say(chance, &last).await;
    let wrong = if codec.is_text() { BINARY } else { TEXT };
    let (frame, expected) = match chance.below(8) {
        0 => (client_frame(wrong, b"{}"), Disconnect::INAPPROPRIATE_PROTOCOL),
        1 => (client_frame(0xc1, b"{}"), Disconnect::PROTOCOL_ERROR),
        2 => (vec![0x81, 0x02, b'{', b'}'], Disconnect::PROTOCOL_ERROR),
        3 => (vec![0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 1], Disconnect::MESSAGE_TOO_BIG),
        4 => (client_frame(TEXT, b"\xff\xfe"), Disconnect::INVALID_TEXT),
        5 => {
            session.caller.raw.send(&client_frame(CLOSE, b"\x03\xe8bye")).await;
            match session.reply().await {
                Ok(reply) => panic!("a reply to a close: {reply}"),
                Err(closed) => assert_eq!(closed.code, Some(1000)),
            }
            return session.commands;
        }
        // Gone without a word.
        _ => return session.commands,
    };
    session.caller.raw.send(&frame).await;
    session.ends(expected, None).await;
    session.commands
}

/// Connections until the time is up, so many at a time.
async fn all(run: &RefCell<Run>, world: &World, quarter: bool) -> u64 {
    let seeds = dialect::BOTH.map(|codec| (codec, seeds(codec)));
    let base = held();
    let begun = std::time::Instant::now();
    let commands = Cell::new(0);
    let lane = async |_nth: usize| {
        loop {
            let Some(mut chance) = run.borrow_mut().next() else { break };
            if quarter && begun.elapsed() * 4 > run.borrow().length() {
                break;
            }
            let sent = session(&mut chance, world, &seeds).await;
            commands.set(commands.get() + sent);
            assert!(held() - base < UNDER_WAY, "{} bytes are held, {base} before", held());
        }
    };
    join_all((0..LANES).map(lane)).await;
    let house = &world.server.app().api().house;
    until("all connections to end", async || {
        // The one that hears all.
        (house.sockets() <= 1).then_some(())
    })
    .await;
    commands.get()
}

/// Hears everything of the first tenant while `work` goes on, and holds it against the log.
async fn heard_meanwhile<T>(world: &World, work: impl Future<Output = T>) -> T {
    let home = &world.homes[0];
    let platform = world.people.iter().find(|person| person.role == Role::Platform).unwrap();
    let (mut caller, _) =
        Caller::connect(&world.server.url, Codec::Protobuf, &platform.token).await;
    let begun = caller.ask(json!({"id": 2, "subscribe": {"channel": "tenant"}})).await;
    let from = begun["subscribe"]["offset"].as_i64().unwrap();
    let last_order = async {
        let outcome = work.await;
        (outcome, home.city.order_id().await)
    };
    let last = RefCell::new(None);
    let heard = RefCell::new(Vec::new());
    let listening = async {
        loop {
            let said = caller.hear().await;
            if said == json!({}) {
                caller.say(&[json!({})]).await;
                continue;
            }
            let event = &said["push"]["pub"];
            heard.borrow_mut().push(event["offset"].as_i64().unwrap());
            if last.borrow().as_ref().is_some_and(|last: &String| event["data"]["order"] == **last)
            {
                break;
            }
        }
    };
    let working = async {
        let (outcome, order) = last_order.await;
        // The event may have been heard before the answer; the next is about it, too.
        *last.borrow_mut() = Some(order.clone());
        let note = json!({"note": "the last"});
        home.city.platform.patch(&format!("/v1/orders/{order}"), note).await.expect(200);
        outcome
    };
    let (outcome, ()) = futures::join!(working, listening);
    let client = world.server.database.connect().await;
    let tenant: ordercast::domain::TenantId = home.city.tenant.parse().unwrap();
    let query = "select position from events where tenant_id = $1 and position > $2 order by 1";
    let rows = client.query(query, &[&tenant.uuid(), &from]).await.unwrap();
    let mut logged: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    // It may have stopped listening at the order's first event.
    let heard = heard.into_inner();
    logged.truncate(heard.len().max(logged.len().saturating_sub(1)));
    assert_eq!(heard, logged, "who behaves hears all, once and in order");
    outcome
}

#[actix_web::test]
async fn whatever_is_said_is_answered_by_the_right_code() {
    let world = World::found().await;
    let run = RefCell::new(Run::begin("sessions"));
    let work = async {
        let mut commands = all(&run, &world, true).await;
        let (base, rounds) = (held(), run.borrow().rounds);
        commands += all(&run, &world, false).await;
        let grown = held() - base;
        let rounds = run.borrow().rounds - rounds;
        assert!(grown < GROWTH, "{rounds} connections later {grown} bytes more are held");
        format!("{commands} commands; {rounds} connections left {grown} bytes behind")
    };
    let told = heard_meanwhile(&world, work).await;
    run.borrow().end(&told);
    world.server.stop().await;
}
