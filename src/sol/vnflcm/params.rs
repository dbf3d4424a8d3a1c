//! The request object inside a VNF op-occ.
//!
//! Its type follows the op-occ's `operation`, a sibling member, so it is read in two steps and never guessed from its members.

use serde::Serialize;

use crate::sol::common::from_object;

use super::{
    opocc::{LcmOperationType, VnfLcmOpOcc},
    request::*,
    snapshot::{CreateVnfSnapshotRequest, RevertToVnfSnapshotRequest},
};

/// `operationParams` of a VNF op-occ, by operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum VnfOperationParams {
    Instantiate(InstantiateVnfRequest),
    Scale(ScaleVnfRequest),
    ScaleToLevel(ScaleVnfToLevelRequest),
    ChangeFlavour(ChangeVnfFlavourRequest),
    Terminate(TerminateVnfRequest),
    Heal(HealVnfRequest),
    Operate(OperateVnfRequest),
    ChangeExtConn(ChangeExtVnfConnectivityRequest),
    ChangeVnfPkg(ChangeCurrentVnfPkgRequest),
    ModifyInfo(VnfInfoModificationRequest),
    CreateSnapshot(CreateVnfSnapshotRequest),
    RevertToSnapshot(RevertToVnfSnapshotRequest),
}

impl VnfLcmOpOcc {
    /// The request that started this operation, when the op-occ shows it.
    pub fn params(&self) -> Result<Option<VnfOperationParams>, serde_json::Error> {
        let Some(params) = &self.operation_params else { return Ok(None) };
        Ok(Some(match self.operation {
            LcmOperationType::Instantiate => VnfOperationParams::Instantiate(from_object(params)?),
            LcmOperationType::Scale => VnfOperationParams::Scale(from_object(params)?),
            LcmOperationType::ScaleToLevel => VnfOperationParams::ScaleToLevel(from_object(params)?),
            LcmOperationType::ChangeFlavour => VnfOperationParams::ChangeFlavour(from_object(params)?),
            LcmOperationType::Terminate => VnfOperationParams::Terminate(from_object(params)?),
            LcmOperationType::Heal => VnfOperationParams::Heal(from_object(params)?),
            LcmOperationType::Operate => VnfOperationParams::Operate(from_object(params)?),
            LcmOperationType::ChangeExtConn => VnfOperationParams::ChangeExtConn(from_object(params)?),
            LcmOperationType::ChangeVnfpkg => VnfOperationParams::ChangeVnfPkg(from_object(params)?),
            LcmOperationType::ModifyInfo => VnfOperationParams::ModifyInfo(from_object(params)?),
            LcmOperationType::CreateSnapshot => VnfOperationParams::CreateSnapshot(from_object(params)?),
            LcmOperationType::RevertToSnapshot => VnfOperationParams::RevertToSnapshot(from_object(params)?),
        }))
    }
}
