//! What is published: a note on a channel.

use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use ordercast::frame::message_frame;
use ordercast::hub::{Bearer, Member, News};
use ordercast::protocol::{Codec, Deltas, RawJson, Said};

/// A note, and its frames for all who take no deltas.
#[derive(Debug)]
pub struct Note {
    /// Where.
    channel: Arc<str>,
    /// Which of the channel's.
    pub offset: u64,
    /// What.
    pub data: Box<RawJson>,
    /// By whom, unless the back end published it.
    by: Option<Member>,
    frames: [OnceLock<Bytes>; Codec::COUNT],
}

impl Note {
    pub fn new(
        channel: Arc<str>,
        offset: u64,
        data: Box<RawJson>,
        by: Option<Member>,
    ) -> Arc<Self> {
        Arc::new(Self { channel, offset, data, by, frames: Default::default() })
    }

    /// As part of a reply, or of a push to `ear`.
    pub fn encode(&self, ear: &Ear, codec: Codec) -> Bytes {
        let said = Said {
            offset: Some(self.offset),
            info: self.by.as_ref().map(Member::info),
            ..Said::new(self.data.get())
        };
        let mut out = Vec::new();
        match &ear.deltas {
            None => codec.encode_said(&mut out, &said),
            Some(deltas) => deltas.encode_publication(codec, &mut out, &said),
        }
        out.into()
    }

    fn push(&self, ear: &Ear, codec: Codec) -> Bytes {
        let mut push = Vec::new();
        codec.encode_push_publication(&mut push, &self.channel, &self.encode(ear, codec));
        message_frame(codec, &push)
    }
}

/// How one listens.
#[derive(Debug, Clone, Default)]
pub struct Ear {
    /// What was heard last, for one who takes deltas.
    pub deltas: Option<Rc<Deltas>>,
}

impl News for Note {
    type Topic = Arc<str>;
    type Ear = Ear;

    fn position(&self) -> u64 {
        self.offset
    }

    fn topics(&self) -> impl Iterator<Item = Arc<str>> {
        std::iter::once(Arc::clone(&self.channel))
    }

    fn passes(&self, _ear: &Ear) -> bool {
        true
    }

    fn frame(&self, _topic: &Arc<str>, ear: &Ear, codec: Codec) -> Option<Bytes> {
        if ear.deltas.is_some() {
            return Some(self.push(ear, codec));
        }
        let made = self.frames.get(codec as usize)?;
        Some(made.get_or_init(|| self.push(ear, codec)).clone())
    }

    fn publication(&self, _topic: &Arc<str>, ear: &Ear, codec: Codec) -> Option<Bytes> {
        Some(self.encode(ear, codec))
    }

    fn ends(&self, _topic: &Arc<str>, _ear: &Ear) -> bool {
        false
    }

    fn revokes(&self) -> Option<Bearer> {
        None
    }
}
