//! The configuration of a VNF, which it serves itself (SOL002 9.5).

use serde::{Deserialize, Serialize};

use super::common::{Identifier, KeyValuePairs};

/// SOL002 9.5.2.2: a merge patch; members of `vnfSpecificData` that are null go.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VnfConfigModifications {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_configuration_data: Option<VnfConfigurationData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnfc_configuration_data: Vec<VnfcConfigurationData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnfc_configuration_data_delete_ids: Vec<Identifier>,
}

impl VnfConfigModifications {
    /// It asks for nothing.
    pub fn is_empty(&self) -> bool {
        *self == VnfConfigModifications::default()
    }
}

/// SOL002 9.5.3.2.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VnfConfigurationData {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_cp_config: Vec<CpConfiguration>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub vnf_specific_data: KeyValuePairs,
}

/// SOL002 9.5.3.3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VnfcConfigurationData {
    pub vnfc_instance_id: Identifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub int_cp_config: Vec<CpConfiguration>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub vnfc_specific_data: KeyValuePairs,
}

/// SOL002 9.5.3.4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CpConfiguration {
    pub cp_id: Identifier,
    pub cpd_id: Identifier,
    pub addresses: Vec<CpAddress>,
}

/// SOL002 9.5.3.5: an address, or that one is given dynamically.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CpAddress {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<NetAddress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_dynamic_address: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetAddress {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
}
