//! Fossil deltas: what makes one text into the next, for listeners that asked for it.
//!
//! The format is that of the Fossil version control system, described in public at
//! <https://fossil-scm.org/home/doc/trunk/www/delta_format.wiki>: the length of the new text, then
//! copies from the old one (`length@offset,`) and literals (`length:bytes`), and a checksum.
//! Numbers are written to base 64. The encoder is our own: the format leaves open how the copies
//! are found.
//!
//! Literals and copies begin and end between characters, so a patch of texts is a text itself and
//! can travel within JSON.

use std::cell::RefCell;

use super::Codec;
use super::push::{Form, Said};

const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";

/// Bytes that must be the same for a copy to be looked for. A copy costs five or more itself.
const SEED: usize = 8;

/// Places of the old text that are tried for each of the new one.
const CANDIDATES: usize = 16;

/// What makes `old` into `new`. It may be longer than `new`.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "it does not, as the tests show for any texts")]
pub fn encode(old: &str, new: &str) -> String {
    let (old, new) = (old.as_bytes(), new.as_bytes());
    let mut out = Vec::with_capacity(64);
    number(&mut out, new.len());
    out.push(b'\n');
    let places = Places::of(old);
    // Everything before `written` is in the patch; from there to `at` nothing was found.
    let (mut written, mut at) = (0, 0);
    while let Some(copy) = places.longest(new, written, at) {
        let Copy { from, to, offset } = copy;
        if from > written {
            literal(&mut out, new.get(written..from).unwrap_or_default());
        }
        number(&mut out, to - from);
        out.push(b'@');
        number(&mut out, offset);
        out.push(b',');
        (written, at) = (to, to);
    }
    if written < new.len() {
        literal(&mut out, new.get(written..).unwrap_or_default());
    }
    number(&mut out, checksum(new) as usize);
    out.push(b';');
    String::from_utf8(out).expect("texts are cut between characters")
}

fn literal(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len());
    out.push(b':');
    out.extend_from_slice(bytes);
}

/// The most significant digit first; zero is one digit.
fn number(out: &mut Vec<u8>, number: usize) {
    let digits = (usize::BITS - number.leading_zeros()).div_ceil(6).max(1);
    for place in (0..digits).rev() {
        let digit = (number >> (6 * place)) & 63;
        out.extend(DIGITS.get(digit));
    }
}

/// The sum of the text's words of four bytes, the last one filled up with zeros.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.chunks(4).fold(0, |sum: u32, chunk| {
        let mut word = [0; 4];
        word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        sum.wrapping_add(u32::from_be_bytes(word))
    })
}

/// Bytes `from..to` of the new text stand at `offset` of the old one.
struct Copy {
    from: usize,
    to: usize,
    offset: usize,
}

/// Where in the old text each run of [`SEED`] bytes begins.
struct Places<'a> {
    old: &'a [u8],
    /// By hash of the run: one more than its last place; 0 for none.
    heads: Vec<u32>,
    /// By place: one more than the place before it with the same hash; 0 for none.
    before: Vec<u32>,
    shift: u32,
}

impl<'a> Places<'a> {
    fn of(old: &'a [u8]) -> Self {
        let size = old.len().next_power_of_two().max(2);
        let shift = u64::BITS - size.ilog2();
        let before = Vec::with_capacity(old.len());
        let mut places = Self { old, heads: vec![0; size], before, shift };
        for (place, run) in old.windows(SEED).enumerate() {
            let hash = places.hash(run);
            let next = u32::try_from(place + 1).unwrap_or_default();
            let head = places.heads.get_mut(hash).map(|head| std::mem::replace(head, next));
            places.before.push(head.unwrap_or_default());
        }
        places
    }

    fn hash(&self, run: &[u8]) -> usize {
        let run = run.first_chunk().map_or(0, |run| u64::from_le_bytes(*run));
        // Fibonacci hashing: the upper bits of the product are well mixed.
        let mixed = run.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift;
        usize::try_from(mixed).unwrap_or_default()
    }

    /// The places of a run that may be the same, the last first.
    fn candidates(&self, run: &[u8]) -> impl Iterator<Item = usize> {
        let mut next = self.heads.get(self.hash(run)).copied().unwrap_or_default();
        std::iter::from_fn(move || {
            let place = usize::try_from(next.checked_sub(1)?).ok()?;
            next = self.before.get(place).copied().unwrap_or_default();
            Some(place)
        })
        .take(CANDIDATES)
    }

    /// The best copy at the first place of `new`, from `at` on, that has one; it may begin
    /// earlier, but not before `written`.
    fn longest(&self, new: &[u8], written: usize, at: usize) -> Option<Copy> {
        for (at, run) in new.windows(SEED).enumerate().skip(at) {
            let copies =
                self.candidates(run).filter_map(|place| self.copy(new, written, at, place));
            if let Some(copy) = copies.max_by_key(|copy| copy.to - copy.from) {
                return Some(copy);
            }
        }
        None
    }

    /// The longest copy through `place` of the old text and `at` of the new one, if it is long
    /// enough to pay.
    fn copy(&self, new: &[u8], written: usize, at: usize, place: usize) -> Option<Copy> {
        let same = |(one, other): &(&u8, &u8)| one == other;
        let (old_before, old_after) = self.old.split_at_checked(place)?;
        let (new_before, new_after) = new.split_at_checked(at)?;
        let after = old_after.iter().zip(new_after).take_while(same).count();
        let fresh = new_before.get(written..)?;
        let before = old_before.iter().rev().zip(fresh.iter().rev()).take_while(same).count();
        let (mut from, mut to) = (at - before, at + after);
        // Not within a character. The two are equal in between, so this goes for both.
        let within = |at: usize| new.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        while from < to && within(from) {
            from += 1;
        }
        while to > from && within(to) {
            to -= 1;
        }
        (to - from >= SEED && to > at).then(|| Copy { from, to, offset: place + from - at })
    }
}

/// The publications of a channel as one listener is sent them that takes deltas: each as what
/// makes the one before it into it, where that is shorter, and the first one whole.
#[derive(Debug, Default)]
pub struct Deltas {
    /// What the listener was sent last.
    last: RefCell<Option<String>>,
}

impl Deltas {
    /// Appends the next publication.
    pub fn encode_publication(&self, codec: Codec, out: &mut Vec<u8>, said: &Said<'_>) {
        let mut last = self.last.borrow_mut();
        let patch = last.as_deref().map(|last| encode(last, said.data));
        match patch.filter(|patch| patch.len() < said.data.len()) {
            Some(patch) => {
                codec.encode_said(out, &Said { data: &patch, form: Form::Delta, ..*said });
            }
            None => codec.encode_said(out, &Said { form: Form::Base, ..*said }),
        }
        said.data.clone_into(last.get_or_insert_default());
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// Reads numbers and bytes of a patch.
    struct Reader<'a>(&'a [u8]);

    impl<'a> Reader<'a> {
        fn number(&mut self) -> usize {
            let digit = |byte: &u8| DIGITS.iter().position(|digit| digit == byte);
            let mut number = 0;
            while let Some(digit) = self.0.first().and_then(digit) {
                number = number * 64 + digit;
                self.0 = &self.0[1..];
            }
            number
        }

        fn take(&mut self, count: usize) -> &'a [u8] {
            let (taken, rest) = self.0.split_at(count);
            self.0 = rest;
            taken
        }
    }

    /// The decoder as the format describes it, each command by the letter behind its number.
    fn apply(old: &[u8], patch: &[u8]) -> Vec<u8> {
        let mut reader = Reader(patch);
        let length = reader.number();
        assert_eq!(reader.take(1), b"\n");
        let mut new = Vec::new();
        loop {
            let number = reader.number();
            match reader.take(1) {
                b"@" => {
                    let offset = reader.number();
                    assert_eq!(reader.take(1), b",");
                    new.extend_from_slice(&old[offset..offset + number]);
                }
                b":" => new.extend_from_slice(reader.take(number)),
                b";" => {
                    assert_eq!(number, checksum(&new) as usize);
                    assert_eq!((new.len(), reader.0), (length, &b""[..]));
                    return new;
                }
                other => panic!("{other:?} is no command"),
            }
        }
    }

    #[test]
    fn a_patch_is_written_as_the_format_describes() {
        // Words of four bytes, to base 64: 0x61626364 + 0x65000000 = 0xc6626364.
        assert_eq!(encode("", "abcde"), "5\n5:abcde36ObD_;");
        assert_eq!(encode("abcde", ""), "0\n0;");
        let (old, new) = ("the quick brown fox", "the quick brown dog");
        assert!(encode(old, new).starts_with("J\nG@0,3:dog"), "{}", encode(old, new));
        let same = "the same again, and longer than sixty-four bytes: it takes two digits.";
        assert!(encode(same, same).starts_with("16\n16@0,"), "{}", encode(same, same));
    }

    #[test]
    fn numbers_have_as_many_digits_as_they_need() {
        for (value, text) in [(0, "0"), (9, "9"), (35, "Z"), (36, "_"), (37, "a"), (63, "~")] {
            let mut out = Vec::new();
            number(&mut out, value);
            assert_eq!(out, text.as_bytes());
        }
        let mut out = Vec::new();
        number(&mut out, 64 * 64 + 1);
        assert_eq!(out, b"101");
    }

    #[test]
    fn a_character_is_never_cut() {
        // é and è share their first byte, â and ¢ their last.
        for (old, new) in [
            ("à la carte: café", "à la carte: cafè"),
            ("¢ for the waiter", "â for the waiter"),
            ("before it: 日本語", "before it: 日木語"),
        ] {
            assert_eq!(apply(old.as_bytes(), encode(old, new).as_bytes()), new.as_bytes());
        }
    }

    #[test]
    fn a_changed_field_costs_little_whatever_stands_around_it() {
        let order = |status: &str, at: u32| {
            format!(
                r#"{{"v":1,"type":"order.{status}","order":"or_01jd8z","at":{at},"data":{{"items":[{{"name":"Margherita","qty":2}}],"note":"ring twice"}}}}"#
            )
        };
        let (old, new) = (order("preparing", 1000), order("ready", 2000));
        let patch = encode(&old, &new);
        assert!(patch.len() < new.len() / 2, "{} of {}: {patch:?}", patch.len(), new.len());
        assert_eq!(apply(old.as_bytes(), patch.as_bytes()), new.as_bytes());
    }

    #[test]
    fn the_first_publication_is_whole_and_so_is_one_that_a_patch_would_lengthen() {
        let deltas = Deltas::default();
        let next = |data: &str, offset| {
            let mut out = Vec::new();
            let said = Said { offset: Some(offset), ..Said::new(data) };
            deltas.encode_publication(Codec::Json, &mut out, &said);
            String::from_utf8(out).unwrap()
        };
        let long = r#"{"status":"preparing","eta":"12:30"}"#;
        assert_eq!(
            next(long, 1),
            r#"{"data":"{\"status\":\"preparing\",\"eta\":\"12:30\"}","offset":1}"#
        );
        let second = next(long, 2);
        assert!(second.starts_with(r#"{"data":"_\n_@0,"#), "{second}");
        assert!(second.ends_with(r#"","offset":2,"delta":true}"#), "{second}");
        assert_eq!(next("7", 3), r#"{"data":"7","offset":3}"#);
    }

    fn edited() -> impl Strategy<Value = (String, String)> {
        let word = select(vec!["order", "ready", "{\"id\":", "é", "日本", "🍕", "12:30", ",\n"]);
        let words = vec(word, 0..60);
        (words.clone(), words, 0..60_usize, 0..60_usize).prop_map(|(old, other, from, count)| {
            let mut new = old.clone();
            let from = from.min(new.len());
            let to = (from + count).min(new.len());
            new.splice(from..to, other.into_iter().take(count));
            (old.concat(), new.concat())
        })
    }

    proptest! {
        #[test]
        fn a_patch_makes_any_text_into_any_other(old: String, new: String) {
            prop_assert_eq!(apply(old.as_bytes(), encode(&old, &new).as_bytes()), new.as_bytes());
        }

        #[test]
        fn a_patch_makes_an_edited_text_of_its_original((old, new) in edited()) {
            prop_assert_eq!(apply(old.as_bytes(), encode(&old, &new).as_bytes()), new.as_bytes());
        }
    }
}
