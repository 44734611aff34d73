//! The habits of this protocol's JSON: how an object is written into a buffer field by field, and
//! how tolerant fields are read.
//!
//! Writing is by hand rather than by `serde` derives because much of what we send is bytes encoded earlier
//! (publications, payloads), which `serde_json` would parse again before it embeds them.
//!
//! Fields at their default are left out; [`Object::field`] writes in any case.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// An object being written: the brace is open, the comma is taken care of.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

/// Appends one object whose fields are written by `fields`.
pub(super) fn object(out: &mut Vec<u8>, fields: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    fields(&mut Object { out, first: true });
    out.push(b'}');
}

impl Object<'_> {
    /// A field whatever its value.
    pub(super) fn field(&mut self, name: &str, value: impl Serialize) {
        write(self.name(name), &value);
    }

    /// A text unless it is empty.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.field(name, text);
        }
    }

    /// A number unless it is 0.
    pub(super) fn number(&mut self, name: &str, number: u64) {
        if number != 0 {
            self.field(name, number);
        }
    }

    /// A flag unless it is false.
    pub(super) fn flag(&mut self, name: &str, flag: bool) {
        if flag {
            self.field(name, true);
        }
    }

    /// A payload: valid JSON text, embedded as it is but for its newlines.
    ///
    /// JSON allows a newline only between tokens, where it means nothing, so dropping it keeps
    /// the value to the digit; parsing and writing it anew would round long numbers.
    pub(super) fn payload(&mut self, name: &str, json: &str) {
        let out = self.name(name);
        for part in json.split(['\n', '\r']) {
            out.extend_from_slice(part.as_bytes());
        }
    }

    /// A nested object, also when it stays empty.
    pub(super) fn object(&mut self, name: &str, fields: impl FnOnce(&mut Object<'_>)) {
        object(self.name(name), fields);
    }

    /// An object encoded earlier.
    pub(super) fn encoded(&mut self, name: &str, object: &[u8]) {
        self.name(name).extend_from_slice(object);
    }

    /// Objects encoded earlier, as an array, also when there are none.
    pub(super) fn encoded_list(&mut self, name: &str, objects: &[Bytes]) {
        let out = self.name(name);
        out.push(b'[');
        for (index, object) in objects.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(object);
        }
        out.push(b']');
    }

    /// Writes the name of the next field, which may come from outside, and its colon.
    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        write(self.out, name);
        self.out.push(b':');
        self.out
    }
}

fn write(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("texts and numbers always serialize into memory");
}

/// A value that must be written as an object: `serde`'s derives would take an array as well.
pub(super) struct Strict<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Strict<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Strict<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Strict<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Strict)
            }
        }
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// An object or null.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Strict<T>>::deserialize(deserializer)?.map(|Strict(value)| value))
}

/// A value, or null for its default.
pub(super) fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Whether there is anything but null.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<IgnoredAny>::deserialize(deserializer)?.is_some())
}
