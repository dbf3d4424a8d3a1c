//! What of a client's certificate names its holder: fingerprint, common name, alternative names.
//!
//! A reader of just that much DER (X.690), for certificates that rustls has verified already. It takes no
//! step outside the bytes it was given, whatever they say. Never: judges a signature, a date or an issuer.

use smol_str::SmolStr;

use super::digest::sha256;
use crate::model::access::CertificateRule;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Certificate {
    pub fingerprint: [u8; 32],
    pub common_name: Option<SmolStr>,
    pub dns: Vec<SmolStr>,
    pub uris: Vec<SmolStr>,
}

impl Certificate {
    /// What can be read; a certificate that is none has its fingerprint only.
    pub fn read(der: &[u8]) -> Certificate {
        let mut c = Certificate { fingerprint: sha256(der), ..Certificate::default() };
        let _ = c.fill(der);
        c
    }

    pub fn fits(&self, rule: &CertificateRule) -> bool {
        match rule {
            CertificateRule::Fingerprint(f) => *f == self.fingerprint,
            CertificateRule::CommonName(n) => self.common_name.as_ref() == Some(n),
            CertificateRule::Dns(n) => self.dns.iter().any(|d| d.eq_ignore_ascii_case(n)),
            CertificateRule::Uri(n) => self.uris.contains(n),
        }
    }

    /// RFC 5280 4.1: Certificate, TBSCertificate, its subject and its extensions.
    fn fill(&mut self, der: &[u8]) -> Option<()> {
        let tbs = Reader(Reader(der).take(SEQUENCE)?).take(SEQUENCE)?;
        let mut tbs = Reader(tbs);
        tbs.maybe(VERSION);
        tbs.take(INTEGER)?;
        tbs.take(SEQUENCE)?;
        tbs.take(SEQUENCE)?;
        tbs.take(SEQUENCE)?;
        let mut subject = Reader(tbs.take(SEQUENCE)?);
        while let Some(set) = subject.maybe(SET) {
            let mut attribute = Reader(Reader(set).take(SEQUENCE)?);
            if attribute.take(OID)? == COMMON_NAME {
                // The last one is the most specific.
                let (tag, text) = attribute.next()?;
                self.common_name = matches!(tag, UTF8 | PRINTABLE | IA5).then(|| plain(text)).flatten();
            }
        }
        tbs.take(SEQUENCE)?;
        tbs.maybe(0x81);
        tbs.maybe(0x82);
        let mut extensions = Reader(Reader(tbs.maybe(EXTENSIONS)?).take(SEQUENCE)?);
        while let Some(e) = extensions.maybe(SEQUENCE) {
            let mut e = Reader(e);
            let is_names = e.take(OID)? == ALTERNATIVE_NAMES;
            e.maybe(BOOLEAN);
            let value = e.take(OCTETS)?;
            if is_names {
                let mut names = Reader(Reader(value).take(SEQUENCE)?);
                while let Some((tag, text)) = names.next() {
                    match tag {
                        DNS => self.dns.extend(plain(text)),
                        URI => self.uris.extend(plain(text)),
                        _ => {}
                    }
                }
            }
        }
        Some(())
    }
}

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const IA5: u8 = 0x16;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.29.17
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// Text that is shown and compared holds no NUL nor other control character.
fn plain(bytes: &[u8]) -> Option<SmolStr> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.into())
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Tag and content of the next element.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
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
    fn maybe(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.0.first() == Some(&tag) { self.next().map(|(_, c)| c) } else { None }
    }
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.maybe(tag)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn made() -> Vec<u8> {
        let mut p = CertificateParams::new(vec!["nfvo.example".into()]).expect("params");
        p.distinguished_name = rcgen::DistinguishedName::new();
        p.distinguished_name.push(DnType::OrganizationName, "Example");
        p.distinguished_name.push(DnType::CommonName, "central-nfvo");
        p.subject_alt_names.push(SanType::URI("urn:nfvo:1".try_into().expect("uri")));
        p.self_signed(&KeyPair::generate().expect("key")).expect("cert").der().to_vec()
    }

    #[test]
    fn the_names_of_a_certificate_are_found_and_fit_their_rules() {
        let der = made();
        let c = Certificate::read(&der);
        assert_eq!(c.common_name.as_deref(), Some("central-nfvo"));
        assert_eq!((c.dns.as_slice(), c.uris.as_slice()), (&["nfvo.example".into()][..], &["urn:nfvo:1".into()][..]));
        for (rule, want) in [
            (CertificateRule::CommonName("central-nfvo".into()), true),
            (CertificateRule::CommonName("central-nfv".into()), false),
            (CertificateRule::CommonName("nfvo.example".into()), false),
            (CertificateRule::Dns("NFVO.example".into()), true),
            (CertificateRule::Dns("example".into()), false),
            (CertificateRule::Uri("urn:nfvo:1".into()), true),
            (CertificateRule::Uri("urn:NFVO:1".into()), false),
            (CertificateRule::Fingerprint(sha256(&der)), true),
            (CertificateRule::Fingerprint([0; 32]), false),
        ] {
            assert_eq!(c.fits(&rule), want, "{rule:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(junk in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Certificate::read(&junk).dns.len() < 100);
        }

        #[test]
        fn no_damage_breaks_the_reader(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let mut der = made();
            let n = der.len();
            der[at.index(n)] = to;
            der.truncate(cut.index(n) + 1);
            prop_assert_eq!(Certificate::read(&der).fingerprint, sha256(&der));
        }
    }
}
