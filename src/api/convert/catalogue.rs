//! NS and PNF descriptors and VNF packages as SOL005 5.5.2.2, 5.5.2.5 and 9.5.2.5 show them.

use smol_str::SmolStr;

use super::{Base, problem, sha256, time, user_pairs};
use crate::{
    model::{
        artefact::{Artefacts, OutsideArtefact},
        package::{NsDescriptor, Onboarding, Operational, PackageFile, PnfDescriptor, StoredImage, VnfPackage},
        vnfd::{ImageFormat, SwImage},
    },
    sol::{
        common::{Checksum, KeyValuePairs},
        nsd::{
            NsdArchiveArtifactInfo, NsdInfo, NsdInfoLinks, NsdOnboardingState, NsdOperationalState, NsdUsageState, PnfdInfo, PnfdInfoLinks,
        },
        pkgm::{
            ContainerFormat, DiskFormat, PackageOnboardingState, PackageOperationalState, PackageUsageState, VnfPackageArtifactInfo,
            VnfPackageSoftwareImageInfo, VnfPkgInfo, VnfPkgInfoLinks,
        },
    },
};

/// Names a version of the resource: state, and whether anybody uses it.
pub fn nsd_version(d: &NsDescriptor) -> u64 {
    (d.revision << 1) | u64::from(d.users > 0)
}

pub fn package_version(p: &VnfPackage) -> u64 {
    (p.revision << 1) | u64::from(p.users > 0)
}

pub fn nsd_operational(state: NsdOperationalState) -> Operational {
    match state {
        NsdOperationalState::Enabled => Operational::Enabled,
        NsdOperationalState::Disabled => Operational::Disabled,
    }
}

pub fn package_operational(state: PackageOperationalState) -> Operational {
    match state {
        PackageOperationalState::Enabled => Operational::Enabled,
        PackageOperationalState::Disabled => Operational::Disabled,
    }
}

pub fn nsd(d: &NsDescriptor, base: &Base) -> NsdInfo {
    let path = format!("/nsd/v2/ns_descriptors/{}", d.id);
    let known = d.nsd.as_ref();
    NsdInfo {
        id: d.id.to_string(),
        nsd_id: known.map(|n| n.id.to_string()),
        nsd_name: known.map(|n| n.name.to_string()),
        nsd_version: known.map(|n| n.version.to_string()),
        nsd_designer: known.map(|n| n.designer.to_string()),
        nsd_invariant_id: known.map(|n| n.invariant_id.to_string()),
        vnf_pkg_ids: d.packages.iter().map(ToString::to_string).collect(),
        artifacts: artifacts(&d.files, &d.nsd_path, d.manifest_path.as_ref()),
        nsd_onboarding_state: onboarding(d.onboarding),
        onboarding_failure_details: d.failure.as_ref().map(problem),
        nsd_operational_state: match d.operational {
            Operational::Enabled => NsdOperationalState::Enabled,
            Operational::Disabled => NsdOperationalState::Disabled,
        },
        nsd_usage_state: if d.users > 0 { NsdUsageState::InUse } else { NsdUsageState::NotInUse },
        user_defined_data: user_pairs(&d.user_data),
        links: NsdInfoLinks { self_: base.link(&path), nsd_content: base.link(format!("{path}/nsd_content")) },
        ..NsdInfo::default()
    }
}

pub fn pnfd(d: &PnfDescriptor, base: &Base) -> PnfdInfo {
    let path = format!("/nsd/v2/pnf_descriptors/{}", d.id);
    let known = d.pnfd.as_ref();
    PnfdInfo {
        id: d.id.to_string(),
        pnfd_id: known.map(|p| p.id.to_string()),
        pnfd_name: known.map(|p| p.name.to_string()),
        pnfd_version: known.map(|p| p.version.to_string()),
        pnfd_provider: known.map(|p| p.provider.to_string()),
        pnfd_invariant_id: known.map(|p| p.invariant_id.to_string()),
        artifacts: artifacts(&d.files, &d.pnfd_path, d.manifest_path.as_ref()),
        pnfd_onboarding_state: onboarding(d.onboarding),
        onboarding_failure_details: d.failure.as_ref().map(problem),
        pnfd_usage_state: if d.users > 0 { NsdUsageState::InUse } else { NsdUsageState::NotInUse },
        user_defined_data: user_pairs(&d.user_data),
        links: PnfdInfoLinks { self_: base.link(&path), pnfd_content: base.link(format!("{path}/pnfd_content")) },
        ..PnfdInfo::default()
    }
}

fn onboarding(state: Onboarding) -> NsdOnboardingState {
    match state {
        Onboarding::Created => NsdOnboardingState::Created,
        Onboarding::Uploading => NsdOnboardingState::Uploading,
        Onboarding::Processing => NsdOnboardingState::Processing,
        Onboarding::Onboarded => NsdOnboardingState::Onboarded,
        Onboarding::Error => NsdOnboardingState::Error,
    }
}

/// What is in an archive beside its descriptor and its manifest.
fn artifacts(files: &[PackageFile], descriptor: &SmolStr, manifest: Option<&SmolStr>) -> Vec<NsdArchiveArtifactInfo> {
    let artifact = |f: &PackageFile| NsdArchiveArtifactInfo {
        artifact_path: f.path.to_string(),
        checksum: sha256(&f.sha256),
        metadata: KeyValuePairs::new(),
    };
    files.iter().filter(|f| f.path != *descriptor && Some(&f.path) != manifest).map(artifact).collect()
}

/// What is in a package beside its descriptor, its manifest and its images.
pub fn additional(p: &VnfPackage) -> impl Iterator<Item = &PackageFile> {
    let images: Vec<&SwImage> = p.vnfd.as_ref().map(|v| v.images()).unwrap_or_default();
    let is_other = move |f: &&PackageFile| {
        f.path != p.vnfd_path && Some(&f.path) != p.manifest_path.as_ref() && !images.iter().any(|i| i.path == f.path)
    };
    p.files.iter().filter(is_other)
}

/// `of` is what is known of its artefacts beside.
pub fn package(p: &VnfPackage, of: Option<&Artefacts>, base: &Base) -> VnfPkgInfo {
    let path = format!("/vnfpkgm/v2/vnf_packages/{}", p.id);
    let known = p.vnfd.as_ref();
    let images: Vec<&SwImage> = known.map(|v| v.images()).unwrap_or_default();
    let artifact = |f: &PackageFile| VnfPackageArtifactInfo {
        artifact_path: Some(f.path.to_string()),
        checksum: sha256(&f.sha256),
        is_encrypted: false,
        non_mano_artifact_set_id: of.and_then(|a| a.set_of(&f.path)).map(ToString::to_string),
        ..VnfPackageArtifactInfo::default()
    };
    let outside = |o: &OutsideArtefact| VnfPackageArtifactInfo {
        artifact_path: o.file.as_ref().map(|f| f.path.to_string()),
        artifact_uri: Some(o.uri.clone()),
        checksum: Checksum { algorithm: o.algorithm.to_string(), hash: o.hash.to_string() },
        is_encrypted: false,
        non_mano_artifact_set_id: o.set.as_ref().map(ToString::to_string),
        ..VnfPackageArtifactInfo::default()
    };
    // Known once the content was read, as the rest.
    let elsewhere = of.iter().filter(|_| known.is_some()).flat_map(|a| &a.outside);
    VnfPkgInfo {
        id: p.id.to_string(),
        vnfd_id: known.map(|v| v.id.to_string()),
        vnf_provider: known.map(|v| v.provider.to_string()),
        vnf_product_name: known.map(|v| v.product_name.to_string()),
        vnf_software_version: known.map(|v| v.software_version.to_string()),
        vnfd_version: known.map(|v| v.version.to_string()),
        checksum: p.archive.as_ref().map(|a| sha256(&a.sha256)),
        software_images: p.images.iter().filter_map(|s| images.iter().find(|i| i.id == s.id).map(|i| image(i, s))).collect(),
        additional_artifacts: additional(p).map(artifact).chain(elsewhere.map(outside)).collect(),
        onboarding_state: match p.onboarding {
            Onboarding::Created => PackageOnboardingState::Created,
            Onboarding::Uploading => PackageOnboardingState::Uploading,
            Onboarding::Processing => PackageOnboardingState::Processing,
            Onboarding::Onboarded => PackageOnboardingState::Onboarded,
            Onboarding::Error => PackageOnboardingState::Error,
        },
        operational_state: match p.operational {
            Operational::Enabled => PackageOperationalState::Enabled,
            Operational::Disabled => PackageOperationalState::Disabled,
        },
        usage_state: if p.users > 0 { PackageUsageState::InUse } else { PackageUsageState::NotInUse },
        vnfm_info: known.map(|v| v.vnfm_info.iter().map(ToString::to_string).collect()).unwrap_or_default(),
        user_defined_data: user_pairs(&p.user_data),
        onboarding_failure_details: p.failure.as_ref().map(problem),
        links: VnfPkgInfoLinks {
            self_: base.link(&path),
            vnfd: base.link(format!("{path}/vnfd")),
            package_content: base.link(format!("{path}/package_content")),
        },
        ..VnfPkgInfo::default()
    }
}

fn image(described: &SwImage, stored: &StoredImage) -> VnfPackageSoftwareImageInfo {
    VnfPackageSoftwareImageInfo {
        id: described.id.to_string(),
        name: described.name.to_string(),
        provider: described.provider.to_string(),
        version: described.version.to_string(),
        checksum: sha256(&stored.sha256),
        is_encrypted: false,
        container_format: ContainerFormat::Bare,
        disk_format: match stored.format {
            ImageFormat::Raw => DiskFormat::Raw,
            ImageFormat::Qcow2 => DiskFormat::Qcow2,
        },
        created_at: time(stored.stored_at),
        min_disk: described.min_disk.bytes().0,
        min_ram: described.min_ram.bytes().0,
        size: stored.size.0,
        user_metadata: KeyValuePairs::new(),
        image_path: described.path.to_string(),
        image_uri: None,
    }
}
