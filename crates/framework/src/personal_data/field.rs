//! Which types may a marked field have?

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::BuildHasher;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::Personal;
use super::declared::{Declared, How};

/// A type that a marked field may have: [`Personal<T>`], and `Option`, `Box`, `Vec` and maps with text keys of those.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be marked `#[personal]`",
    label = "not a `Personal<T>`, nor an `Option`, `Box`, `Vec`, `BTreeMap<String, _>` or `HashMap<String, _>` of one",
    note = "write `Personal<T>` with the type of the value: only a whole value can be sealed and forgotten"
)]
pub trait PersonalField: Sized {
    /// The type of the values in it.
    type Value: 'static;

    #[doc(hidden)]
    fn write<S: Serializer>(&self, serializer: S, how: How<'_, Self::Value>) -> Result<S::Ok, S::Error>;

    #[doc(hidden)]
    fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        mark: &Declared<Self::Value>,
    ) -> Result<Self, D::Error>;
}

impl<T: Serialize + for<'de> Deserialize<'de> + 'static> PersonalField for Personal<T> {
    type Value = T;

    fn write<S: Serializer>(&self, serializer: S, how: How<'_, T>) -> Result<S::Ok, S::Error> {
        super::write::write(self, serializer, how)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D, mark: &Declared<T>) -> Result<Self, D::Error> {
        super::read::read(deserializer, mark)
    }
}

impl<P: PersonalField> PersonalField for Box<P> {
    type Value = P::Value;

    fn write<S: Serializer>(&self, serializer: S, how: How<'_, P::Value>) -> Result<S::Ok, S::Error> {
        P::write(self, serializer, how)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D, mark: &Declared<P::Value>) -> Result<Self, D::Error> {
        P::read(deserializer, mark).map(Box::new)
    }
}

impl<P: PersonalField> PersonalField for Option<P> {
    type Value = P::Value;

    fn write<S: Serializer>(&self, serializer: S, how: How<'_, P::Value>) -> Result<S::Ok, S::Error> {
        match self {
            Some(field) => serializer.serialize_some(&Part { field, how }),
            None => serializer.serialize_none(),
        }
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D, mark: &Declared<P::Value>) -> Result<Self, D::Error> {
        deserializer.deserialize_option(Parts { mark, into: PhantomData::<fn() -> Self> })
    }
}

impl<P: PersonalField> PersonalField for Vec<P> {
    type Value = P::Value;

    fn write<S: Serializer>(&self, serializer: S, how: How<'_, P::Value>) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|field| Part { field, how }))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D, mark: &Declared<P::Value>) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Parts { mark, into: PhantomData::<fn() -> Self> })
    }
}

impl<P: PersonalField> PersonalField for BTreeMap<String, P> {
    type Value = P::Value;

    fn write<S: Serializer>(&self, serializer: S, how: How<'_, P::Value>) -> Result<S::Ok, S::Error> {
        write_map(self.iter(), serializer, how)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D, mark: &Declared<P::Value>) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Parts { mark, into: PhantomData::<fn() -> Self> })
    }
}

impl<P: PersonalField, H: BuildHasher + Default> PersonalField for HashMap<String, P, H> {
    type Value = P::Value;

    fn write<S: Serializer>(&self, serializer: S, how: How<'_, P::Value>) -> Result<S::Ok, S::Error> {
        write_map(self.iter(), serializer, how)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D, mark: &Declared<P::Value>) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Parts { mark, into: PhantomData::<fn() -> Self> })
    }
}

fn write_map<'a, P: PersonalField + 'a, S: Serializer>(
    parts: impl ExactSizeIterator<Item = (&'a String, &'a P)>,
    serializer: S,
    how: How<'_, P::Value>,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(parts.len()))?;
    for (key, field) in parts {
        map.serialize_entry(key, &Part { field, how })?;
    }
    map.end()
}

/// A part of a container, to be written.
struct Part<'a, P: PersonalField> {
    field: &'a P,
    how: How<'a, P::Value>,
}

impl<P: PersonalField> Serialize for Part<'_, P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.field.write(serializer, self.how)
    }
}

/// A part of a container, to be read.
struct One<'a, P: PersonalField> {
    mark: &'a Declared<P::Value>,
    field: PhantomData<fn() -> P>,
}

impl<'de, P: PersonalField> DeserializeSeed<'de> for One<'_, P> {
    type Value = P;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<P, D::Error> {
        P::read(deserializer, self.mark)
    }
}

/// A container `C`, to be read.
struct Parts<'a, T: 'static, C> {
    mark: &'a Declared<T>,
    into: PhantomData<fn() -> C>,
}

impl<'de, P: PersonalField> Visitor<'de> for Parts<'_, P::Value, Option<P>> {
    type Value = Option<P>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a personal value or null")
    }
    fn visit_none<E>(self) -> Result<Option<P>, E> {
        Ok(None)
    }
    fn visit_unit<E>(self) -> Result<Option<P>, E> {
        Ok(None)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<P>, D::Error> {
        P::read(deserializer, self.mark).map(Some)
    }
}

impl<'de, P: PersonalField> Visitor<'de> for Parts<'_, P::Value, Vec<P>> {
    type Value = Vec<P>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of personal values")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<P>, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = list.next_element_seed(One { mark: self.mark, field: PhantomData })? {
            parts.push(part);
        }
        Ok(parts)
    }
}

impl<'de, P: PersonalField> Visitor<'de> for Parts<'_, P::Value, BTreeMap<String, P>> {
    type Value = BTreeMap<String, P>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of personal values")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<BTreeMap<String, P>, A::Error> {
        read_map(map, self.mark)
    }
}

impl<'de, P: PersonalField, H: BuildHasher + Default> Visitor<'de>
    for Parts<'_, P::Value, HashMap<String, P, H>>
{
    type Value = HashMap<String, P, H>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of personal values")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HashMap<String, P, H>, A::Error> {
        read_map(map, self.mark)
    }
}

fn read_map<'de, P, A, C>(mut map: A, mark: &Declared<P::Value>) -> Result<C, A::Error>
where
    P: PersonalField,
    A: MapAccess<'de>,
    C: Default + Extend<(String, P)>,
{
    let mut parts = C::default();
    while let Some(key) = map.next_key::<String>()? {
        parts.extend([(key, map.next_value_seed(One { mark, field: PhantomData })?)]);
    }
    Ok(parts)
}
