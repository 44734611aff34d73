//! Who is there: the members of each topic that this process serves.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::protocol::ClientInfo;

/// A connection as the others on a topic see it.
#[derive(Debug, Clone)]
pub struct Member {
    /// The connection.
    pub client: String,
    /// Who is behind it; empty for an anonymous one.
    pub user: String,
    /// What its connection's token says about it.
    pub conn_info: Option<Box<RawValue>>,
    /// What its subscription's token says about it.
    pub chan_info: Option<Box<RawValue>>,
}

impl Member {
    /// The same as the wire takes it.
    pub fn info(&self) -> ClientInfo<'_> {
        ClientInfo {
            client: &self.client,
            user: &self.user,
            conn_info: self.conn_info.as_deref(),
            chan_info: self.chan_info.as_deref(),
        }
    }
}

/// Somebody came or went.
#[derive(Debug, Clone)]
pub struct Move<T> {
    /// Where.
    pub topic: T,
    /// Who.
    pub member: Arc<Member>,
    /// Whether it came.
    pub joined: bool,
}

/// By client, not in order: a tree takes the room of eleven for the one who listens to its order.
/// One that listens to a topic twice, under two names, is there until it does neither.
type Members<T> = HashMap<T, HashMap<String, There>>;

#[derive(Debug)]
struct There {
    member: Arc<Member>,
    times: usize,
}

/// The members of this process's topics, shared by its threads, and the way by which those who
/// come and go are told. That way is bounded: told late or not at all, the list itself is right.
#[derive(Debug)]
pub struct Presence<T> {
    members: Mutex<Members<T>>,
    moves: mpsc::Sender<Move<T>>,
}

impl<T: Clone + Eq + Hash> Presence<T> {
    /// Nobody is there yet. At most `moves_len` moves wait to be told.
    pub fn new(moves_len: usize) -> (Self, mpsc::Receiver<Move<T>>) {
        let (moves, told) = mpsc::channel(moves_len);
        (Self { members: Mutex::default(), moves }, told)
    }

    fn members(&self) -> std::sync::MutexGuard<'_, Members<T>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody is on the topic from now on.
    pub fn join(&self, topic: &T, member: &Arc<Member>) {
        let mut members = self.members();
        let there = members.entry(topic.clone()).or_default();
        let one = there
            .entry(member.client.clone())
            .or_insert_with(|| There { member: Arc::clone(member), times: 0 });
        one.times += 1;
        if one.times == 1 {
            drop(members);
            self.tell(topic, member, true);
        }
    }

    /// Somebody is on the topic no longer.
    pub fn leave(&self, topic: &T, member: &Arc<Member>) {
        let mut members = self.members();
        let Some(there) = members.get_mut(topic) else { return };
        let Some(one) = there.get_mut(&member.client) else { return };
        one.times -= 1;
        if one.times == 0 {
            there.remove(&member.client);
            if there.is_empty() {
                members.remove(topic);
            }
            drop(members);
            self.tell(topic, member, false);
        }
    }

    fn tell(&self, topic: &T, member: &Arc<Member>, joined: bool) {
        let moved = Move { topic: topic.clone(), member: Arc::clone(member), joined };
        if self.moves.try_send(moved).is_err() {
            tracing::debug!("more came and went than can be told");
        }
    }

    /// All who are anywhere, as if they came now.
    pub fn all(&self) -> Vec<Move<T>> {
        let members = self.members();
        let there = members.iter().flat_map(|(topic, there)| {
            there.values().map(|one| Move {
                topic: topic.clone(),
                member: Arc::clone(&one.member),
                joined: true,
            })
        });
        there.collect()
    }

    /// Who is on the topic, by client.
    pub fn list(&self, topic: &T) -> Vec<Arc<Member>> {
        let members = self.members();
        let there = members.get(topic).into_iter().flat_map(HashMap::values);
        let mut there: Vec<_> = there.map(|one| Arc::clone(&one.member)).collect();
        drop(members);
        there.sort_unstable_by(|one, other| one.client.cmp(&other.client));
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(client: &str) -> Arc<Member> {
        let (client, user) = (client.to_owned(), "ann".to_owned());
        Arc::new(Member { client, user, conn_info: None, chan_info: None })
    }

    #[test]
    fn each_move_is_told_once_and_an_empty_topic_costs_nothing() {
        let (presence, mut told) = Presence::new(8);
        let (one, two) = (member("1"), member("2"));
        presence.join(&"a", &one);
        presence.join(&"a", &one);
        presence.join(&"a", &two);
        presence.leave(&"b", &one);
        let clients: Vec<_> = presence.list(&"a").iter().map(|m| m.client.clone()).collect();
        assert_eq!(clients, ["1", "2"]);
        // It came twice.
        presence.leave(&"a", &one);
        assert_eq!(presence.list(&"a").len(), 2);
        presence.leave(&"a", &one);
        presence.leave(&"a", &two);
        presence.leave(&"a", &two);
        assert!(presence.members().is_empty());
        let moves: Vec<_> = std::iter::from_fn(|| told.try_recv().ok())
            .map(|moved| (moved.member.client.clone(), moved.joined))
            .collect();
        let expected = [("1", true), ("2", true), ("1", false), ("2", false)];
        assert_eq!(moves, expected.map(|(client, joined)| (client.to_owned(), joined)));
    }

    #[test]
    fn a_full_queue_of_moves_does_not_touch_the_list() {
        let (presence, _told) = Presence::new(1);
        presence.join(&"a", &member("1"));
        presence.join(&"a", &member("2"));
        assert_eq!(presence.list(&"a").len(), 2);
    }
}
