//! The request object inside an NS op-occ.
//!
//! ETSI's file types it as the name of an operation; it is the request. Its type follows the op-occ's `lcmOperationType`, a
//! sibling member, so it is read in two steps and never guessed from its members.

use serde::Serialize;

use crate::sol::common::from_object;

use super::{
    change::{HealNsRequest, ScaleNsRequest},
    opocc::{NsLcmOpOcc, NsLcmOpType},
    request::{InstantiateNsRequest, TerminateNsRequest},
    update::UpdateNsRequest,
};

/// `operationParams` of an NS op-occ, by operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum NsOperationParams {
    Instantiate(InstantiateNsRequest),
    Scale(ScaleNsRequest),
    Update(Box<UpdateNsRequest>),
    Heal(HealNsRequest),
    Terminate(TerminateNsRequest),
}

impl NsLcmOpOcc {
    /// The request that started this operation, when the op-occ shows it.
    pub fn params(&self) -> Result<Option<NsOperationParams>, serde_json::Error> {
        let Some(params) = &self.operation_params else { return Ok(None) };
        Ok(Some(match self.lcm_operation_type {
            NsLcmOpType::Instantiate => NsOperationParams::Instantiate(from_object(params)?),
            NsLcmOpType::Scale => NsOperationParams::Scale(from_object(params)?),
            NsLcmOpType::Update => NsOperationParams::Update(from_object(params)?),
            NsLcmOpType::Heal => NsOperationParams::Heal(from_object(params)?),
            NsLcmOpType::Terminate => NsOperationParams::Terminate(from_object(params)?),
        }))
    }
}
