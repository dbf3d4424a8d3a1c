//! Before a desired state knew what its document was in whole, with the signature.

use serde::Deserialize;
use smol_str::SmolStr;

use crate::model::{
    desired::{self, Made},
    time::Stamp,
};

#[derive(Deserialize)]
pub struct DesiredRecord {
    version: u64,
    text: String,
    signer: SmolStr,
    fingerprint: [u8; 32],
    taken: Stamp,
    from: SmolStr,
    made: Vec<Made>,
}

impl From<DesiredRecord> for desired::DesiredRecord {
    fn from(o: DesiredRecord) -> Self {
        desired::DesiredRecord {
            version: o.version,
            text: o.text,
            signer: o.signer,
            fingerprint: o.fingerprint,
            taken: o.taken,
            from: o.from,
            made: o.made,
            message: None,
            host: None,
        }
    }
}
