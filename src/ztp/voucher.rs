//! The ownership voucher (RFC 8366 5, JSON form of RFC 8572 3.3): which device it is for, whose it is, until when.
//!
//! Pure: its signature has been verified before this is asked.

use data_encoding::BASE64;
use jiff::Timestamp;
use serde::Deserialize;
use smol_str::SmolStr;

use super::{Der, Device, Now, artefact::key_identifier};
use crate::model::{
    error::{Fault, Result},
    time::Stamp,
};

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "ietf-voucher:voucher")]
    voucher: Wire,
}

/// As in the YANG module `ietf-voucher`. What it does not name is no voucher of this revision.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Wire {
    created_on: String,
    expires_on: Option<String>,
    assertion: Assertion,
    serial_number: SmolStr,
    idevid_issuer: Option<String>,
    pinned_domain_cert: String,
    domain_cert_revocation_checks: Option<bool>,
    nonce: Option<String>,
    last_renewal_date: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assertion {
    Verified,
    Logged,
    Proximity,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voucher {
    pub created: Stamp,
    pub expires: Option<Stamp>,
    pub assertion: Assertion,
    pub serial_number: SmolStr,
    pub issuer_key: Option<Vec<u8>>,
    pub pinned: Der,
    /// Whether certificates below the pinned one must be shown not to be revoked.
    pub revocation_checks: bool,
    pub nonce: Option<Vec<u8>>,
}

impl Voucher {
    /// All that is wrong with its form is told at once.
    pub fn read(json: &[u8]) -> Result<Voucher> {
        let wire = serde_json::from_slice::<Document>(json).map_err(|e| Fault::invalid(format!("voucher: {e} (RFC 8366 5.3)")))?.voucher;
        let mut wrong = Vec::new();
        let mut date = |name: &str, text: &str| match text.parse::<Timestamp>().ok().and_then(|t| u64::try_from(t.as_millisecond()).ok()) {
            Some(ms) => Some(Stamp(ms)),
            None => {
                wrong.push(format!("{name}: '{text}' is no date and time (RFC 3339)"));
                None
            }
        };
        let created = date("created-on", &wire.created_on);
        let expires = wire.expires_on.as_deref().map(|t| date("expires-on", t));
        let renewal = wire.last_renewal_date.as_deref().map(|t| date("last-renewal-date", t));
        let mut bytes = |name: &str, text: &str| match BASE64.decode(text.as_bytes()) {
            Ok(b) => Some(b),
            Err(_) => {
                wrong.push(format!("{name}: this is not base64"));
                None
            }
        };
        let pinned = bytes("pinned-domain-cert", &wire.pinned_domain_cert);
        let issuer_key = wire.idevid_issuer.as_deref().and_then(|t| bytes("idevid-issuer", t));
        let nonce = wire.nonce.as_deref().and_then(|t| bytes("nonce", t));
        // The `must` statements of the module.
        for (bad, text) in [
            (expires.is_some() && wire.nonce.is_some(), "expires-on and nonce cannot stand together"),
            (renewal.is_some() && expires.is_none(), "last-renewal-date needs expires-on"),
            (wire.domain_cert_revocation_checks.is_some() && expires.is_none(), "domain-cert-revocation-checks needs expires-on"),
            (nonce.as_ref().is_some_and(|n| !(8..=32).contains(&n.len())), "nonce: 8 to 32 bytes"),
            (wire.serial_number.is_empty(), "serial-number is empty"),
        ] {
            if bad {
                wrong.push(text.to_owned());
            }
        }
        let (Some(created), Some(pinned), true) = (created, pinned, wrong.is_empty()) else {
            return Err(Fault::invalid("the voucher is not as RFC 8366 5.3 wants it").with_reasons(wrong));
        };
        Ok(Voucher {
            created,
            expires: expires.flatten(),
            assertion: wire.assertion,
            serial_number: wire.serial_number,
            issuer_key,
            pinned: Der(pinned),
            revocation_checks: wire.domain_cert_revocation_checks.unwrap_or(false),
            nonce,
        })
    }

    /// Every reason why it does not hold for this device now (RFC 8572 5.4). `nonce`: the one that was sent to the server.
    pub fn refusals(&self, device: &Device, now: Now, nonce: Option<&[u8]>) -> Vec<String> {
        let mut why = Vec::new();
        if self.serial_number != device.serial_number {
            why.push(format!("the voucher is for the device '{}', this one is '{}'", self.serial_number, device.serial_number));
        }
        // `idevid-issuer` holds the extension's value or the key identifier alone: either ends with the identifier.
        if let Some(want) = &self.issuer_key
            && !device.issuer_key.as_ref().is_some_and(|have| want == have || key_identifier(want).as_ref() == Some(have))
        {
            why.push("the voucher names another issuer (idevid-issuer) than the one of this device's IDevID".into());
        }
        if let Now::Sound(now) = now {
            if self.created > now {
                why.push("the voucher is of a time to come (created-on)".into());
            }
            if self.expires.is_some_and(|e| e <= now) {
                why.push("the voucher has ended (expires-on)".into());
            }
        }
        match (&self.nonce, nonce) {
            (None, _) => {}
            (Some(got), Some(sent)) if got == sent => {}
            (Some(_), Some(_)) => why.push("the voucher answers another request (nonce)".into()),
            (Some(_), None) => why.push("the voucher answers a request (nonce), and this device has sent none".into()),
        }
        if self.revocation_checks && now != Now::Unknown {
            why.push("the voucher wants revocation lists for the owner's certificates (domain-cert-revocation-checks), which bothy does not have: ask for one without".into());
        }
        why
    }
}
