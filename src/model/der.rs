//! A reader of DER (X.690): tags, lengths, contents, in their order.
//!
//! It takes no step outside the bytes it was given, whatever they say. Never: knows what an element means,
//! judges a signature, a date or an issuer.

pub const BOOLEAN: u8 = 0x01;
pub const INTEGER: u8 = 0x02;
pub const OCTETS: u8 = 0x04;
pub const OID: u8 = 0x06;
pub const UTF8: u8 = 0x0c;
pub const PRINTABLE: u8 = 0x13;
pub const IA5: u8 = 0x16;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;

/// What is left to be read.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// Tag and content of the next element. (Not an iterator: most elements are asked for by their tag.)
    pub fn element(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f)).filter(|(b, _)| (1..=4).contains(&b.len()))?;
            (bytes.iter().fold(0usize, |n, b| n << 8 | usize::from(*b)), rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
    /// The content of the next element, if it has this tag; else nothing is read.
    pub fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.0.first() == Some(&tag) { self.element().map(|(_, c)| c) } else { None }
    }
}

/// The bytes of one element: its tag, its length in the shortest form, its content.
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut all = vec![tag];
    let length = content.len();
    if length < 0x80 {
        all.push(u8::try_from(length).unwrap_or_default());
    } else {
        let bytes = length.to_be_bytes();
        let bytes = &bytes[bytes.iter().take_while(|b| **b == 0).count()..];
        all.push(0x80 | u8::try_from(bytes.len()).unwrap_or_default());
        all.extend_from_slice(bytes);
    }
    all.extend_from_slice(content);
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(tag in 0u8..0x80, content in prop::collection::vec(any::<u8>(), 0..70_000)) {
            let bytes = element(tag, &content);
            let mut r = Reader(&bytes);
            prop_assert_eq!(r.element(), Some((tag, content.as_slice())));
            prop_assert!(r.0.is_empty());
        }

        #[test]
        fn no_bytes_break_the_reader(junk in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut r = Reader(&junk);
            let mut elements = 0;
            while r.element().is_some() { elements += 1 }
            prop_assert!(elements <= junk.len());
        }
    }
}
