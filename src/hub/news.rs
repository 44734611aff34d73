//! What a hub must know of what it hands on.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use bytes::Bytes;

use crate::protocol::Codec;

/// Something that is published. The hub keeps order and uniqueness by its position, asks who may
/// hear it and in which bytes, and knows nothing else of it.
pub trait News: fmt::Debug + Send + Sync + 'static {
    /// What one can listen to.
    type Topic: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static;
    /// As whom, and for what of it, one listens to a topic.
    type Ear: Clone + fmt::Debug + 'static;

    /// Its place on its topics: grows, and may skip.
    fn position(&self) -> u64;

    /// Every topic it is published on, each once.
    fn topics(&self) -> impl Iterator<Item = Self::Topic>;

    /// Whether a listener hears it at all.
    fn passes(&self, ear: &Self::Ear) -> bool;

    /// The whole WebSocket frame of its push for a listener, shared by all who hear the same;
    /// none if it is not for this ear. Of this and [`News::publication`] one is asked, once for
    /// each listener and in order, so an ear may remember what it heard last.
    fn frame(&self, topic: &Self::Topic, ear: &Self::Ear, codec: Codec) -> Option<Bytes>;

    /// The publication alone, as it is part of a recovery or of a push under another name.
    fn publication(&self, topic: &Self::Topic, ear: &Self::Ear, codec: Codec) -> Option<Bytes>;

    /// Whether the listener's right to the topic ends with it: it is the last that it hears.
    fn ends(&self, topic: &Self::Topic, ear: &Self::Ear) -> bool;

    /// The credential whose connections all end with it.
    fn revokes(&self) -> Option<Bearer>;
}

/// Something that is published and passes: it has no position, is not kept and is not recovered. Of
/// several about the same that wait for one listener the newest alone is sent.
pub trait Passing<N: News>: fmt::Debug + Send + Sync + 'static {
    /// What it is about: a newer one about the same takes its place.
    fn subject(&self) -> u128;

    /// Its number in the order in which this process published such things.
    fn number(&self) -> u64;

    /// Every topic it is published on, each once.
    fn topics(&self) -> &[N::Topic];

    /// Up to which position of a topic's news it is known to be right; a listener who knows more
    /// does not hear it. None if no news can make it wrong.
    fn as_of(&self, topic: &N::Topic) -> Option<u64>;

    /// Whether a listener hears it at all.
    fn passes(&self, topic: &N::Topic, ear: &N::Ear) -> bool;

    /// The whole WebSocket frame of its push for a listener who hears it, shared by all who hear
    /// the same.
    fn frame(&self, topic: &N::Topic, ear: &N::Ear, codec: Codec) -> Option<Bytes>;

    /// The publication alone, as it is part of a push under another name.
    fn publication(&self, topic: &N::Topic, ear: &N::Ear, codec: Codec) -> Option<Bytes>;
}

/// Things that pass, as workers share them.
pub type Passed<N> = Arc<[Arc<dyn Passing<N>>]>;

/// A credential that connections stand on, as far as the hub must tell two apart: whose, and
/// which.
pub type Bearer = [u128; 2];
