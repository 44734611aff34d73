//! Proofs: what shows that an order was handed over, and which of them an order asks for.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::id::ProofId;
use super::words::{UnknownWord, Word, words};

words! {
    /// What proves a hand-over.
    ProofKind "kind" {
        /// A picture.
        Photo "photo",
        /// A signature.
        Signature "signature",
        /// The customer's four digits.
        Pin "pin",
        /// A scanned code.
        Scan "scan",
    }
}

words! {
    /// Which hand-over is proved.
    ProofPoint "point" {
        /// From the store to whoever brings it.
        Pickup "pickup",
        /// To the customer, at the door or at the counter.
        Dropoff "dropoff",
        /// Back to the store.
        Return "return",
    }
}

words! {
    /// What an inline picture is. None that a browser would run: an SVG may hold scripts.
    PictureType "content_type" {
        /// JPEG.
        Jpeg "image/jpeg",
        /// PNG.
        Png "image/png",
        /// WebP.
        Webp "image/webp",
    }
}

impl PictureType {
    /// What the bytes say that they are.
    pub fn sniff(data: &[u8]) -> Option<Self> {
        if data.starts_with(b"\xFF\xD8\xFF") {
            return Some(Self::Jpeg);
        }
        if data.starts_with(b"\x89PNG\r\n\x1A\n") {
            return Some(Self::Png);
        }
        let is_webp = data.starts_with(b"RIFF") && data.get(8..12) == Some(b"WEBP");
        is_webp.then_some(Self::Webp)
    }
}

/// What proves one hand-over, as it comes with the action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// What it is.
    pub kind: ProofKind,
    /// Where it is: a URL, or a hash of what was shown.
    pub reference: String,
}

/// The bytes of a picture: carried, never read.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture(pub Arc<[u8]>);

impl fmt::Debug for Picture {
    /// Without the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What an uploaded proof consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofContent {
    /// A picture that is kept here.
    Inline(PictureType, Picture),
    /// A picture that is kept elsewhere.
    Url(String),
    /// The text of a scanned code.
    Text(String),
}

/// A proof that is uploaded by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProof {
    /// Which one.
    pub id: ProofId,
    /// What it proves.
    pub point: ProofPoint,
    /// What it is.
    pub kind: ProofKind,
    /// What it consists of.
    pub content: ProofContent,
    /// SHA-256 of that.
    pub hash: Vec<u8>,
}

/// Bytes of the hash by which a proof that comes again is known: enough that no two of one order
/// are mistaken for each other.
const HASH_BYTES: usize = 16;

impl NewProof {
    /// The proof as its order remembers it.
    pub fn held(&self, at: Timestamp) -> HeldProof {
        let hash = self.hash.iter().take(HASH_BYTES);
        let hash = hash.fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        HeldProof { point: self.point, kind: self.kind, at, hash }
    }
}

/// That an order has a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldProof {
    /// What it proves.
    pub point: ProofPoint,
    /// What it is.
    pub kind: ProofKind,
    /// When it was recorded, by the database's clock: one of an earlier attempt does not count.
    pub at: Timestamp,
    /// What tells it from others of its kind, in hexadecimal; empty when it came with an action.
    pub hash: String,
}

impl HeldProof {
    /// The same as a text.
    pub fn text(&self) -> String {
        let Self { point, kind, at, hash } = self;
        format!("{point}:{kind}:{}:{hash}", at.as_microsecond())
    }

    /// What [`HeldProof::text`] made a text of.
    pub fn parse(text: &str) -> Result<Self, UnknownWord> {
        let unknown = || UnknownWord { list: "proof", members: &["point:kind:at:hash"] };
        let mut parts = text.split(':');
        let mut part = || parts.next().ok_or_else(unknown);
        let (point, kind, at, hash) = (part()?, part()?, part()?, part()?);
        let at = at.parse().ok().and_then(|micros| Timestamp::from_microsecond(micros).ok());
        Ok(Self {
            point: ProofPoint::find(point)?,
            kind: ProofKind::find(kind)?,
            at: at.ok_or_else(unknown)?,
            hash: hash.to_owned(),
        })
    }
}

/// Some kinds of proofs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProofKinds(u8);

impl ProofKinds {
    const fn bit(kind: ProofKind) -> u8 {
        match kind {
            ProofKind::Photo => 1,
            ProofKind::Signature => 2,
            ProofKind::Pin => 4,
            ProofKind::Scan => 8,
        }
    }
    /// Whether this kind is among them.
    pub const fn contains(self, kind: ProofKind) -> bool {
        self.0 & Self::bit(kind) != 0
    }
    /// Each of them, in the order of [`ProofKind`].
    pub fn iter(self) -> impl Iterator<Item = ProofKind> {
        ProofKind::ALL.iter().copied().filter(move |kind| self.contains(*kind))
    }
    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<ProofKind> for ProofKinds {
    fn from_iter<I: IntoIterator<Item = ProofKind>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | Self::bit(kind)))
    }
}

/// Which proofs the hand-overs of an order need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one kind, as platforms say it")]
pub struct ProofRequired {
    /// A picture, at the drop-off.
    pub photo: bool,
    /// A signature, at the drop-off.
    pub signature: bool,
    /// The customer's PIN, at the drop-off.
    pub pin: bool,
    /// A scanned code, at the drop-off.
    pub scan: bool,
    /// These at the pick-up; a PIN is not among them.
    pub pickup: ProofKinds,
    /// These at the return; a PIN is not among them.
    pub back: ProofKinds,
}

impl ProofRequired {
    /// What is needed there.
    pub fn at(self, point: ProofPoint) -> ProofKinds {
        match point {
            ProofPoint::Pickup => self.pickup,
            ProofPoint::Return => self.back,
            ProofPoint::Dropoff => [
                (self.photo, ProofKind::Photo),
                (self.signature, ProofKind::Signature),
                (self.pin, ProofKind::Pin),
                (self.scan, ProofKind::Scan),
            ]
            .into_iter()
            .filter_map(|(needed, kind)| needed.then_some(kind))
            .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_proof_is_read_back_as_it_was() {
        let at: Timestamp = "2025-01-02T18:04:05.123456Z".parse().unwrap();
        for point in ProofPoint::ALL {
            for kind in ProofKind::ALL {
                for hash in ["", "00ff"] {
                    let held = HeldProof { point: *point, kind: *kind, at, hash: hash.to_owned() };
                    assert_eq!(HeldProof::parse(&held.text()), Ok(held));
                }
            }
        }
        for text in ["", "dropoff", "dropoff:photo:x:", "dropoff:song:1:", "door:photo:1:"] {
            assert!(HeldProof::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn kinds_are_a_set() {
        for kind in ProofKind::ALL {
            let set: ProofKinds = [*kind, *kind].into_iter().collect();
            assert_eq!(set.iter().collect::<Vec<_>>(), [*kind]);
            for other in ProofKind::ALL {
                assert_eq!(set.contains(*other), kind == other);
            }
        }
        assert!(ProofKinds::default().is_empty());
    }

    #[test]
    fn a_picture_is_what_its_first_bytes_say() {
        assert_eq!(PictureType::sniff(b"\xFF\xD8\xFF\xE0"), Some(PictureType::Jpeg));
        assert_eq!(PictureType::sniff(b"\x89PNG\r\n\x1A\n1"), Some(PictureType::Png));
        assert_eq!(PictureType::sniff(b"RIFF\0\0\0\0WEBPVP8 "), Some(PictureType::Webp));
        for other in [&b""[..], b"RIFF", b"RIFF\0\0\0\0WAVE", b"<svg/>", b"<html>", b"GIF89a"] {
            assert_eq!(PictureType::sniff(other), None);
        }
    }
}
