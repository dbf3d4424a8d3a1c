//! The three artefacts of bootstrapping data (RFC 8572 3) as they come: CMS, perhaps encrypted, perhaps signed.
//!
//! Reads the types that a CMS structure says it has, and the content of one that is not signed. Never: believes any of it.

use super::Der;
use crate::model::{
    der::{BOOLEAN, INTEGER, OCTETS, OID, Reader, SEQUENCE, SET, element},
    error::{Fault, Result},
};

/// More is no bootstrapping data: the largest thing in it is a script or a configuration.
pub const LIMIT: usize = 4 << 20;

/// Bootstrapping data of one source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Artefacts {
    pub conveyed: Vec<u8>,
    pub owner_certificate: Option<Vec<u8>>,
    pub voucher: Option<Vec<u8>>,
}

/// What is inside of a CMS structure, by its own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// id-data: whatever the place says it is.
    Data,
    /// id-ct-animaJSONVoucher (RFC 8366 8.3)
    JsonVoucher,
    /// id-ct-sztpConveyedInfoJSON (RFC 8572 10.4)
    JsonConveyed,
    /// id-ct-sztpConveyedInfoXML
    XmlConveyed,
    Signed,
    Enveloped,
}

const TYPES: [(&[u8], Content); 6] = [
    // 1.2.840.113549.1.7.1, .2, .3
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01], Content::Data),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02], Content::Signed),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03], Content::Enveloped),
    // 1.2.840.113549.1.9.16.1.40, .42, .43
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x28], Content::JsonVoucher),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x2a], Content::XmlConveyed),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x2b], Content::JsonConveyed),
];
const EXPLICIT_0: u8 = 0xa0;

impl Content {
    fn of(oid: &[u8]) -> Option<Content> {
        TYPES.iter().find(|(o, _)| *o == oid).map(|(_, c)| *c)
    }
    fn oid(self) -> &'static [u8] {
        TYPES.iter().find(|(_, c)| *c == self).map_or(&[], |(o, _)| o)
    }
}

/// ContentInfo (RFC 5652 3): its type, and the element that is its content.
fn info(bytes: &[u8]) -> Option<(Content, &[u8])> {
    let mut outer = Reader(bytes);
    let mut inner = Reader(outer.take(SEQUENCE)?);
    if !outer.0.is_empty() {
        return None;
    }
    let kind = Content::of(inner.take(OID)?)?;
    Some((kind, inner.take(EXPLICIT_0)?))
}

fn not_cms(what: &str) -> Fault {
    Fault::invalid(format!("{what}: this is no CMS structure (RFC 5652, DER) of a type that RFC 8572 knows"))
}

/// The type that is on top.
pub fn top(what: &str, bytes: &[u8]) -> Result<Content> {
    if bytes.len() > LIMIT {
        return Err(Fault::invalid(format!("{what}: {} bytes, and {LIMIT} is the most", bytes.len())));
    }
    info(bytes).map(|(c, _)| c).ok_or_else(|| not_cms(what))
}

/// What signed data says it holds: `eContentType` (RFC 5652 5.1, 5.2).
pub fn inner(what: &str, bytes: &[u8]) -> Result<Content> {
    let read = || {
        let (kind, content) = info(bytes)?;
        (kind == Content::Signed).then_some(())?;
        let mut data = Reader(Reader(content).take(SEQUENCE)?);
        data.take(INTEGER)?;
        data.element()?;
        Content::of(Reader(data.take(SEQUENCE)?).take(OID)?)
    };
    read().ok_or_else(|| not_cms(what))
}

/// The certificates that signed data brings along (RFC 5652 5.1), whether or not anybody has signed it.
pub fn certificates(what: &str, bytes: &[u8]) -> Result<Vec<Der>> {
    let read = || {
        let (kind, content) = info(bytes)?;
        (kind == Content::Signed).then_some(())?;
        let mut data = Reader(Reader(content).take(SEQUENCE)?);
        data.take(INTEGER)?;
        data.element()?;
        data.take(SEQUENCE)?;
        let mut all = Vec::new();
        let mut bag = Reader(data.take(EXPLICIT_0).unwrap_or_default());
        while !bag.0.is_empty() {
            all.push(Der(element(SEQUENCE, bag.take(SEQUENCE)?)));
        }
        Some(all)
    };
    read().ok_or_else(|| not_cms(what))
}

/// The content of a structure that is neither signed nor encrypted.
pub fn plain<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a [u8]> {
    info(bytes).and_then(|(_, content)| Reader(content).take(OCTETS)).ok_or_else(|| not_cms(what))
}

/// What was encrypted is signed data. Where its type is said by the envelope (RFC 5652 6.1) it comes without a
/// ContentInfo of its own; tools also encrypt whole ones.
pub fn unwrapped(opened: Vec<u8>) -> Vec<u8> {
    let bare = Reader(&opened).take(SEQUENCE).is_some_and(|c| Reader(c).take(INTEGER).is_some());
    if !bare {
        return opened;
    }
    let inside = [element(OID, Content::Signed.oid()), element(EXPLICIT_0, &opened)].concat();
    element(SEQUENCE, &inside)
}

/// A structure of this type with these bytes in it, signed by nobody (RFC 8572 3.1).
pub fn unsigned(content: Content, bytes: &[u8]) -> Vec<u8> {
    let inside = [element(OID, content.oid()), element(EXPLICIT_0, &element(OCTETS, bytes))].concat();
    element(SEQUENCE, &inside)
}

/// Of certificates in no order the one that has issued none of the others, if there is just one.
pub fn leaf(all: &[Der]) -> Option<&Der> {
    let names: Vec<(&[u8], &[u8])> = all.iter().map(|c| names(&c.0)).collect::<Option<_>>()?;
    let mut leaves = (0..all.len()).filter(|&i| {
        let (_, subject) = names[i];
        names.iter().enumerate().all(|(j, (issuer, _))| i == j || *issuer != subject)
    });
    leaves.next().filter(|_| leaves.next().is_none()).map(|i| &all[i])
}

/// Issuer and subject of a certificate (RFC 5280 4.1).
fn names(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut tbs = Reader(Reader(Reader(certificate).take(SEQUENCE)?).take(SEQUENCE)?);
    tbs.take(EXPLICIT_0);
    tbs.take(INTEGER)?;
    tbs.take(SEQUENCE)?;
    let issuer = tbs.take(SEQUENCE)?;
    tbs.take(SEQUENCE)?;
    Some((issuer, tbs.take(SEQUENCE)?))
}

/// From when a certificate holds (RFC 5280 4.1.2.5).
pub fn not_before(certificate: &[u8]) -> Option<jiff::Timestamp> {
    const UTC: u8 = 0x17;
    const GENERALIZED: u8 = 0x18;
    let mut tbs = Reader(Reader(Reader(certificate).take(SEQUENCE)?).take(SEQUENCE)?);
    tbs.take(EXPLICIT_0);
    tbs.take(INTEGER)?;
    tbs.take(SEQUENCE)?;
    tbs.take(SEQUENCE)?;
    let (kind, text) = Reader(tbs.take(SEQUENCE)?).element()?;
    let text = std::str::from_utf8(text).ok().filter(|t| t.is_ascii())?;
    let text = match kind {
        UTC => format!("{}{text}", if text.get(..2)? < "50" { "20" } else { "19" }),
        GENERALIZED => text.to_owned(),
        _ => return None,
    };
    let part = |from: usize, to: usize| text.get(from..to);
    let (day, time) = ((part(0, 4)?, part(4, 6)?, part(6, 8)?), (part(8, 10)?, part(10, 12)?, part(12, 14)?));
    format!("{}-{}-{}T{}:{}:{}Z", day.0, day.1, day.2, time.0, time.1, time.2).parse().ok()
}

/// The serial number in the subject of a certificate (X.520 2.5.4.5; IEEE 802.1AR 8.6), and the key identifier of its issuer (RFC 5280 4.2.1.1).
pub fn identity(certificate: &Der) -> Option<(smol_str::SmolStr, Option<Vec<u8>>)> {
    let (_, subject) = names(&certificate.0)?;
    Some((serial_number(subject)?, extension(&certificate.0, AUTHORITY_KEY).and_then(key_identifier)))
}

/// The serial number that a request for a certificate names (RFC 2986 4).
pub fn requested(request: &[u8]) -> Option<smol_str::SmolStr> {
    let mut info = Reader(Reader(Reader(request).take(SEQUENCE)?).take(SEQUENCE)?);
    info.take(INTEGER)?;
    serial_number(info.take(SEQUENCE)?)
}

/// Of a subject; two of them name nobody.
fn serial_number(subject: &[u8]) -> Option<smol_str::SmolStr> {
    let mut subject = Reader(subject);
    let mut found = None;
    while let Some(set) = subject.take(SET) {
        let mut set = Reader(set);
        while let Some(attribute) = set.take(SEQUENCE) {
            let mut attribute = Reader(attribute);
            if attribute.take(OID)? == [0x55, 0x04, 0x05] {
                let (_, text) = attribute.element()?;
                let text = std::str::from_utf8(text).ok().filter(|t| !t.is_empty() && !t.chars().any(char::is_control))?;
                if found.replace(text.into()).is_some() {
                    return None;
                }
            }
        }
    }
    found
}

/// Whether its key usage, where it says one, has digitalSignature in it (RFC 5280 4.2.1.3).
pub fn may_sign(certificate: &Der) -> bool {
    const BITS: u8 = 0x03;
    let Some(value) = extension(&certificate.0, KEY_USAGE) else { return true };
    Reader(value).take(BITS).is_some_and(|bits| bits.get(1).is_some_and(|b| b & 0x80 != 0))
}

/// 2.5.29.35 and 2.5.29.15
const AUTHORITY_KEY: &[u8] = &[0x55, 0x1d, 0x23];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];

/// The key identifier in the value of an authority key identifier (RFC 5280 4.2.1.1).
pub fn key_identifier(value: &[u8]) -> Option<Vec<u8>> {
    Reader(Reader(value).take(SEQUENCE)?).take(0x80).map(<[u8]>::to_vec)
}

/// The value of an extension (RFC 5280 4.1).
fn extension<'a>(certificate: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    const EXTENSIONS: u8 = 0xa3;
    let mut tbs = Reader(Reader(Reader(certificate).take(SEQUENCE)?).take(SEQUENCE)?);
    while tbs.0.first() != Some(&EXTENSIONS) {
        tbs.element()?;
    }
    let mut all = Reader(Reader(tbs.take(EXTENSIONS)?).take(SEQUENCE)?);
    while let Some(e) = all.take(SEQUENCE) {
        let mut e = Reader(e);
        let oid = e.take(OID)?;
        e.take(BOOLEAN);
        if oid == wanted {
            return e.take(OCTETS);
        }
    }
    None
}
