//! Which variants of which enums the golden values have: a variant without one would be free to move.
//!
//! A record is read once more from its bytes, and what serde's derive says at each enum is noted: its name, all its
//! variants, and the one that is there. So no list of enums is kept by hand, and a new variant fails the test.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor},
};

/// An enum by its name and variants: two of one name are told apart by these.
type Enum = (&'static str, &'static [&'static str]);

#[derive(Default)]
pub(in super::super) struct Seen(RefCell<BTreeMap<Enum, BTreeSet<u32>>>);

impl Seen {
    /// `body` is what postcard wrote of a `T`.
    pub fn look<'de, T: Deserialize<'de>>(&self, body: &'de [u8]) {
        let mut from = postcard::Deserializer::from_bytes(body);
        T::deserialize(Traced { of: None, seen: self, inner: &mut from }).expect("what was written can be read");
    }

    /// `Enum::Variant` of each that no value has.
    pub fn missing(&self) -> Vec<String> {
        let all = self.0.borrow();
        let gaps = all.iter().flat_map(|((name, variants), there)| {
            let absent = (0u32..).zip(variants.iter()).filter(|(n, _)| !there.contains(n));
            absent.map(move |(_, v)| format!("{name}::{v}"))
        });
        gaps.collect()
    }
}

/// Any part of serde's reading, passed on, with an eye on enums.
struct Traced<'s, T> {
    /// The enum whose variant is read next.
    of: Option<Enum>,
    seen: &'s Seen,
    inner: T,
}

impl<'s, T> Traced<'s, T> {
    fn on<U>(&self, inner: U) -> Traced<'s, U> {
        Traced { of: None, seen: self.seen, inner }
    }
}

macro_rules! pass_on {
    ($($f:ident($($arg:ident: $t:ty),*);)*) => {$(
        fn $f<V: Visitor<'de>>(self, $($arg: $t,)* visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$f($($arg,)* Traced { of: self.of, seen: self.seen, inner: visitor })
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Traced<'_, D> {
    type Error = D::Error;

    pass_on! {
        deserialize_any(); deserialize_bool(); deserialize_i8(); deserialize_i16(); deserialize_i32(); deserialize_i64();
        deserialize_i128(); deserialize_u8(); deserialize_u16(); deserialize_u32(); deserialize_u64(); deserialize_u128();
        deserialize_f32(); deserialize_f64(); deserialize_char(); deserialize_str(); deserialize_string();
        deserialize_bytes(); deserialize_byte_buf(); deserialize_option(); deserialize_unit(); deserialize_seq();
        deserialize_map(); deserialize_identifier(); deserialize_ignored_any();
        deserialize_unit_struct(name: &'static str); deserialize_newtype_struct(name: &'static str);
        deserialize_tuple(len: usize); deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let of = Some((name, variants));
        self.inner.deserialize_enum(name, variants, Traced { of, seen: self.seen, inner: visitor })
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! visit {
    ($($f:ident($t:ty);)*) => {$(
        fn $f<E: serde::de::Error>(self, v: $t) -> Result<V::Value, E> {
            self.inner.$f(v)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Traced<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visit! {
        visit_bool(bool); visit_i8(i8); visit_i16(i16); visit_i32(i32); visit_i64(i64); visit_i128(i128); visit_u8(u8);
        visit_u16(u16); visit_u64(u64); visit_u128(u128); visit_f32(f32); visit_f64(f64); visit_char(char); visit_str(&str);
        visit_borrowed_str(&'de str); visit_string(String); visit_bytes(&[u8]); visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    /// Postcard writes a variant as its number.
    fn visit_u32<E: serde::de::Error>(self, v: u32) -> Result<V::Value, E> {
        if let Some(of) = self.of {
            self.seen.0.borrow_mut().entry(of).or_default().insert(v);
        }
        self.inner.visit_u32(v)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }
    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }
    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<V::Value, D::Error> {
        let d = self.on(d);
        self.inner.visit_some(d)
    }
    fn visit_newtype_struct<D: Deserializer<'de>>(self, d: D) -> Result<V::Value, D::Error> {
        let d = self.on(d);
        self.inner.visit_newtype_struct(d)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, a: A) -> Result<V::Value, A::Error> {
        let a = self.on(a);
        self.inner.visit_seq(a)
    }
    fn visit_map<A: MapAccess<'de>>(self, a: A) -> Result<V::Value, A::Error> {
        let a = self.on(a);
        self.inner.visit_map(a)
    }
    fn visit_enum<A: EnumAccess<'de>>(self, a: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Traced { of: self.of, seen: self.seen, inner: a })
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Traced<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Traced { of: self.of, seen: self.seen, inner: d })
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Traced<'_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        let seed = self.on(seed);
        self.inner.next_element_seed(seed)
    }
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Traced<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let seed = self.on(seed);
        self.inner.next_key_seed(seed)
    }
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        let seed = self.on(seed);
        self.inner.next_value_seed(seed)
    }
}

impl<'de, 's, A: EnumAccess<'de>> EnumAccess<'de> for Traced<'s, A> {
    type Error = A::Error;
    type Variant = Traced<'s, A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self::Variant), A::Error> {
        let (value, variant) = self.inner.variant_seed(Traced { of: self.of, seen: self.seen, inner: seed })?;
        Ok((value, Traced { of: None, seen: self.seen, inner: variant }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Traced<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        let seed = self.on(seed);
        self.inner.newtype_variant_seed(seed)
    }
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.on(visitor);
        self.inner.tuple_variant(len, visitor)
    }
    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.on(visitor);
        self.inner.struct_variant(fields, visitor)
    }
}

#[test]
fn a_variant_that_no_value_has_is_found_wherever_it_stands() {
    use serde::Serialize;
    #[derive(Serialize, Deserialize)]
    enum Colour {
        Red,
        Green(u32),
        Blue { deep: Option<Box<Shade>> },
    }
    #[derive(Serialize, Deserialize)]
    enum Shade {
        Dark,
        Light,
    }
    #[derive(Serialize, Deserialize)]
    struct Whole {
        list: Vec<(u8, Colour)>,
        map: BTreeMap<String, Shade>,
    }
    let whole = |list: Vec<Colour>, map: Vec<Shade>| {
        let whole =
            Whole { list: list.into_iter().map(|c| (1, c)).collect(), map: map.into_iter().map(|s| ("one".to_owned(), s)).collect() };
        postcard::to_allocvec(&whole).expect("written")
    };
    let seen = Seen::default();
    // Numbers beside are none of an enum's.
    seen.look::<Whole>(&whole(vec![Colour::Red, Colour::Green(2)], vec![Shade::Dark]));
    assert_eq!(seen.missing(), ["Colour::Blue", "Shade::Light"]);
    seen.look::<Whole>(&whole(vec![Colour::Blue { deep: Some(Box::new(Shade::Light)) }], vec![]));
    assert_eq!(seen.missing(), [""; 0]);
}
