//! Which bootstrapping data is believed (RFC 8572 5.3, 5.4).
//!
//! What a signature proves comes first: voucher by the manufacturer, owner certificate by the voucher, conveyed
//! information by the owner certificate. What is not signed counts for as much as the source is trusted.

use super::{
    Der, Device, Now,
    artefact::{self, Artefacts, Content},
    conveyed::Conveyed,
    port::{Cms, Signed, SignedBy},
    voucher::Voucher,
};
use crate::model::error::{Fault, Result};

pub struct Judge<'a> {
    pub device: &'a Device,
    pub now: Now,
    pub cms: &'a dyn Cms,
    /// What was sent to the server that the data is from.
    pub nonce: Option<&'a [u8]>,
}

/// Conveyed information that the device may act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Believed {
    pub info: Conveyed,
    /// `trust-state`: whether what it says of other servers counts.
    pub trusted: bool,
    /// Who signed it, if it was signed.
    pub owner: Option<Der>,
}

const VOUCHER: &str = "ownership voucher";
const OWNER: &str = "owner certificate";
const CONVEYED: &str = "conveyed information";

impl Judge<'_> {
    /// `trusted`: the source is a server whose certificate led to an anchor that this device had for it.
    pub fn judge(&self, data: &Artefacts, trusted: bool) -> Result<Believed> {
        let (kind, conveyed) = self.opened(CONVEYED, &data.conveyed)?;
        match kind {
            Content::Signed => {
                let (Some(owner), Some(voucher)) = (&data.owner_certificate, &data.voucher) else {
                    return Err(Fault::invalid(
                        "the conveyed information is signed: owner certificate and ownership voucher must come with it (RFC 8572 5.3)",
                    ));
                };
                let (info, owner) = self.signed(&conveyed, owner, voucher)?;
                Ok(Believed { info, trusted: true, owner: Some(owner) })
            }
            Content::JsonConveyed | Content::Data => {
                if data.owner_certificate.is_some() || data.voucher.is_some() {
                    return Err(Fault::invalid(
                        "there is a voucher or an owner certificate, and the conveyed information is signed by nobody (RFC 8572 5.3)",
                    ));
                }
                let info = Conveyed::read(artefact::plain(CONVEYED, &conveyed)?)?;
                match (info, trusted) {
                    (Conveyed::Onboarding(_), false) => Err(Fault::forbidden(
                        "onboarding information that nobody has signed, from a source that is not trusted (RFC 8572 5.3)",
                    )),
                    // Where to ask may be said by anybody; whom to trust there may not (5.5).
                    (Conveyed::Redirect(servers), false) => {
                        let servers = servers.into_iter().map(|s| super::conveyed::Server { trust_anchor: None, ..s }).collect();
                        Ok(Believed { info: Conveyed::Redirect(servers), trusted: false, owner: None })
                    }
                    (info, true) => Ok(Believed { info, trusted: true, owner: None }),
                }
            }
            Content::XmlConveyed => Err(Fault::invalid("the conveyed information is XML: bothy reads its JSON form")),
            Content::JsonVoucher | Content::Enveloped => Err(Fault::invalid("the conveyed information is of another type (RFC 8572 3.1)")),
        }
    }

    /// 5.4, in its order; whoever gives up first says why.
    fn signed(&self, conveyed: &[u8], owner: &[u8], voucher: &[u8]) -> Result<(Conveyed, Der)> {
        if self.device.voucher_anchors.is_empty() {
            return Err(Fault::conflict("this device has no trust anchor for ownership vouchers: it cannot believe signed data"));
        }
        let at = self.now.stamp();
        let (kind, voucher) = self.opened(VOUCHER, voucher)?;
        if kind != Content::Signed {
            return Err(Fault::invalid("the ownership voucher is not signed (RFC 8366 5.4)"));
        }
        if !matches!(artefact::inner(VOUCHER, &voucher)?, Content::JsonVoucher | Content::Data) {
            return Err(Fault::invalid("the ownership voucher is signed data of another type (RFC 8572 3.3)"));
        }
        let by = SignedBy { anchors: &self.device.voucher_anchors, signer: None, between: &[], at };
        let Signed { content, signer } =
            self.cms.verified(&voucher, &by).map_err(|f| f.context("the ownership voucher is not the manufacturer's"))?;
        // A manufacturer whose anchor for vouchers is that of its identities has a signer in every box.
        let a_device = artefact::identity(&signer).is_some_and(|(_, issuer)| issuer.is_some() && issuer == self.device.issuer_key);
        if a_device || !artefact::may_sign(&signer) {
            return Err(Fault::forbidden("the ownership voucher is signed by a certificate that is not for signing vouchers"));
        }
        let voucher = Voucher::read(&content)?;
        let refusals = voucher.refusals(self.device, self.now, self.nonce);
        if !refusals.is_empty() {
            return Err(Fault::forbidden("the ownership voucher does not hold").with_reasons(refusals));
        }

        let (kind, owner) = self.opened(OWNER, owner)?;
        if kind != Content::Signed {
            return Err(Fault::invalid("the owner certificate is no signed-data structure of certificates (RFC 8572 3.2)"));
        }
        let bag = artefact::certificates(OWNER, &owner)?;
        let leaf = artefact::leaf(&bag).ok_or_else(|| {
            Fault::invalid("the owner certificate: one certificate, and those that it leads by; there is none, or several")
        })?;

        if !matches!(artefact::inner(CONVEYED, conveyed)?, Content::JsonConveyed | Content::Data) {
            return Err(Fault::invalid("the conveyed information is signed data of another type (RFC 8572 3.1)"));
        }
        let by = SignedBy { anchors: std::slice::from_ref(&voucher.pinned), signer: Some(leaf), between: &bag, at };
        let signed = self.cms.verified(conveyed, &by).map_err(|f| {
            f.context("the conveyed information is not of the owner that the voucher names (pinned-domain-cert), or has been changed")
        })?;
        if !artefact::may_sign(leaf) {
            return Err(Fault::forbidden("the owner certificate is not for signatures (keyUsage; RFC 8572 3.2)"));
        }
        if signed.signer != *leaf {
            return Err(Fault::forbidden("the conveyed information is signed by another certificate than the owner's"));
        }
        Ok((Conveyed::read(&signed.content)?, signed.signer))
    }

    /// What is inside, if it was encrypted for this device: and that is signed, for so much RFC 8572 3.4 wants.
    fn opened(&self, what: &str, bytes: &[u8]) -> Result<(Content, Vec<u8>)> {
        match artefact::top(what, bytes)? {
            Content::Enveloped => {
                let inside =
                    artefact::unwrapped(self.cms.opened(bytes).map_err(|f| f.context(format!("{what}: not encrypted for this device")))?);
                match artefact::top(what, &inside)? {
                    Content::Signed => Ok((Content::Signed, inside)),
                    _ => Err(Fault::invalid(format!("{what}: what was encrypted is not signed (RFC 8572 3.4)"))),
                }
            }
            other => Ok((other, bytes.to_vec())),
        }
    }
}
