//! SOL005 vnfpkgm/v2: VNF packages on the wire.
//!
//! Owns the shapes of the package resources; SOL003's read-only view has the same members. Never reads a package.

use serde::{Deserialize, Serialize};

use super::{
    common::{Checksum, DateTime, Identifier, KeyValuePairs, Link, SecurityOption},
    problem::ProblemDetails,
    subscription::one_or_many,
};

/// POST vnf_packages (SOL005 9.5.2.2).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateVnfPkgInfoRequest {
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub user_defined_data: KeyValuePairs,
}

/// PATCH of a package: at least one member; also the answer (SOL005 9.5.2.3).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfPkgInfoModifications {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operational_state: Option<PackageOperationalState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_defined_data: Option<KeyValuePairs>,
}

/// Fetch the content from a URI (SOL005 9.5.2.4).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadVnfPkgFromUriRequest {
    pub address_information: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_type: Option<UploadAuthType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params_oauth2_client_credentials: Option<Oauth2ClientCredentials>,
}

/// How the server that holds the content knows us (SOL005 9.5.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UploadAuthType {
    Oauth2ClientCredentials,
}

/// A client's credentials; never given back by any GET (SOL005 9.5.2.4).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Oauth2ClientCredentials {
    pub client_id: String,
    pub client_password: String,
    pub token_endpoint: String,
}

/// How artefacts outside of a package are reached (SOL005 9.5.2.10).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalArtifactsAccessConfig {
    /// ETSI's file has one object in place of the list.
    #[serde(default, deserialize_with = "one_or_many")]
    pub artifact: Vec<ExternalArtifactAccess>,
}

/// One of them; its credentials are in no reply.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalArtifactAccess {
    pub artifact_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_type: Option<UploadAuthType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params_oauth2_client_credentials: Option<Oauth2ClientCredentials>,
}

/// An individual VNF package resource (SOL005 9.5.2.5).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfPkgInfo {
    pub id: Identifier,
    /// Everything between here and `onboarding_state` is known once the content was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_product_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_software_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatible_specification_versions: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Checksum>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_security_option: Option<SecurityOption>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub software_images: Vec<VnfPackageSoftwareImageInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_artifacts: Vec<VnfPackageArtifactInfo>,
    pub onboarding_state: PackageOnboardingState,
    pub operational_state: PackageOperationalState,
    pub usage_state: PackageUsageState,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnfm_info: Vec<String>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub user_defined_data: KeyValuePairs,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onboarding_failure_details: Option<ProblemDetails>,
    #[serde(rename = "_links")]
    pub links: VnfPkgInfoLinks,
}

/// Links of a package (SOL005 9.5.2.5).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfPkgInfoLinks {
    pub self_: Link,
    pub vnfd: Link,
    pub package_content: Link,
}

/// An image in the package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfPackageSoftwareImageInfo {
    pub id: Identifier,
    pub name: String,
    pub provider: String,
    pub version: String,
    pub checksum: Checksum,
    pub is_encrypted: bool,
    pub container_format: ContainerFormat,
    pub disk_format: DiskFormat,
    pub created_at: DateTime,
    /// Bytes.
    pub min_disk: u64,
    /// Bytes.
    pub min_ram: u64,
    /// Bytes.
    pub size: u64,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub user_metadata: KeyValuePairs,
    pub image_path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_uri: Option<String>,
}

/// Anything else the package holds or names (SOL005 9.5.3.3).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfPackageArtifactInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_path: Option<String>,
    /// Spelt so by ETSI, against its own convention.
    #[serde(rename = "artifactURI", alias = "artifactUri", skip_serializing_if = "Option::is_none")]
    pub artifact_uri: Option<String>,
    pub checksum: Checksum,
    pub is_encrypted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub non_mano_artifact_set_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_classification: Option<ArtifactClassification>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub metadata: KeyValuePairs,
}

/// What an artifact is for, when it is one of these (SOL005 9.5.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ArtifactClassification {
    History,
    Testing,
    License,
}

/// What wraps the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ContainerFormat {
    Aki,
    Ami,
    Ari,
    Bare,
    Docker,
    Ova,
    Ovf,
}

/// The image's own format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DiskFormat {
    Aki,
    Ami,
    Ari,
    Iso,
    Qcow2,
    Raw,
    Vdi,
    Vhd,
    Vhdx,
    Vmdk,
}

/// How far onboarding is (SOL005 9.5.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PackageOnboardingState {
    #[default]
    Created,
    Uploading,
    Processing,
    Onboarded,
    Error,
}

/// Whether the package may be instantiated (SOL005 9.5.4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PackageOperationalState {
    Enabled,
    #[default]
    Disabled,
}

/// Whether a VNF instance uses the package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PackageUsageState {
    InUse,
    #[default]
    NotInUse,
}
