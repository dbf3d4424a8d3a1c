//! Secrets by name: descriptors and parameters refer to them, records never hold them in the clear.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{id::ProjectId, time::Stamp};

/// A sealed value (see `store::Sealer`). Read by templates as `secrets.NAME`, never by a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    pub name: SmolStr,
    pub project: ProjectId,
    pub sealed: Vec<u8>,
    pub created: Stamp,
}
