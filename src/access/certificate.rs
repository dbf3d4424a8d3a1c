//! What of a certificate names its holder: fingerprint, common name, serial number, alternative names.
//!
//! Reads just that much of them, for certificates that rustls has verified already. Never: judges a signature,
//! a date or an issuer.

use smol_str::SmolStr;

use super::digest::sha256;
use crate::model::{
    access::CertificateRule,
    der::{BOOLEAN, IA5, INTEGER, OCTETS, OID, PRINTABLE, Reader, SEQUENCE, SET, UTF8},
};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Certificate {
    pub fingerprint: [u8; 32],
    pub common_name: Option<SmolStr>,
    /// Of the device: the attribute of its name (802.1AR 8.6), not the certificate's own number.
    pub serial: Option<SmolStr>,
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
        tbs.take(VERSION);
        tbs.take(INTEGER)?;
        tbs.take(SEQUENCE)?;
        tbs.take(SEQUENCE)?;
        tbs.take(SEQUENCE)?;
        let mut subject = Reader(tbs.take(SEQUENCE)?);
        while let Some(set) = subject.take(SET) {
            let mut set = Reader(set);
            while let Some(attribute) = set.take(SEQUENCE) {
                let mut attribute = Reader(attribute);
                let slot = match attribute.take(OID)? {
                    COMMON_NAME => &mut self.common_name,
                    SERIAL_NUMBER => &mut self.serial,
                    _ => continue,
                };
                // The last one is the most specific.
                let (tag, text) = attribute.element()?;
                *slot = matches!(tag, UTF8 | PRINTABLE | IA5).then(|| plain(text)).flatten();
            }
        }
        tbs.take(SEQUENCE)?;
        tbs.take(0x81);
        tbs.take(0x82);
        let mut extensions = Reader(Reader(tbs.take(EXTENSIONS)?).take(SEQUENCE)?);
        while let Some(e) = extensions.take(SEQUENCE) {
            let mut e = Reader(e);
            let is_names = e.take(OID)? == ALTERNATIVE_NAMES;
            e.take(BOOLEAN);
            let value = e.take(OCTETS)?;
            if is_names {
                let mut names = Reader(Reader(value).take(SEQUENCE)?);
                while let Some((tag, text)) = names.element() {
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

const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.4.5
const SERIAL_NUMBER: &[u8] = &[0x55, 0x04, 0x05];
/// 2.5.29.17
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// Text that is shown and compared holds no NUL nor other control character.
fn plain(bytes: &[u8]) -> Option<SmolStr> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.into())
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
        p.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), "BX-1");
        p.subject_alt_names.push(SanType::URI("urn:nfvo:1".try_into().expect("uri")));
        p.self_signed(&KeyPair::generate().expect("key")).expect("cert").der().to_vec()
    }

    #[test]
    fn the_names_of_a_certificate_are_found_and_fit_their_rules() {
        let der = made();
        let c = Certificate::read(&der);
        assert_eq!((c.common_name.as_deref(), c.serial.as_deref()), (Some("central-nfvo"), Some("BX-1")));
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
