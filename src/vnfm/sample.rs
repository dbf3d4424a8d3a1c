//! Packages that are looked at and not onboarded: what a dry run plans with.
//!
//! Owns the reading of an archive to the record that it would become, with all that onboarding finds fault
//! with. Never: a record, or a file that stays.

use std::cell::RefCell;

use super::{
    Vnfm,
    package::{image_file, images_refused},
};
use crate::{
    descriptor::{Archive, VnfPackageContent},
    model::{
        error::{Fault, Result},
        id::ProjectId,
        package::VnfPackage,
        size::Bytes,
    },
    vim::port::IMAGE_HEAD,
};

/// A package as it would be onboarded, with its files where they are.
pub struct Sample {
    pub package: VnfPackage,
    archive: RefCell<Archive>,
}

impl Vnfm {
    pub fn sample(&self, project: ProjectId, mut archive: Archive, content: VnfPackageContent) -> Result<Sample> {
        let mut package = self.draft_package(project, Vec::new());
        self.check_new::<VnfPackage>(&package.id, project, &content.vnfd.id)?;
        let (mut images, mut faults) = (Vec::new(), Vec::new());
        for image in content.vnfd.images() {
            let examined = image_file(image, &content.files).and_then(|file| {
                let head = archive.head(&image.path, IMAGE_HEAD)?;
                Ok(self.stored(image, file, self.images.examine(&head, Bytes(file.size.0), image.format)?))
            });
            match examined {
                Ok(i) => images.push(i),
                Err(f) => faults.push(f.context(format!("image {}", image.id))),
            }
        }
        images_refused(&faults)?;
        package.entry().onboarded();
        package.vnfd = Some(content.vnfd);
        package.files = content.files;
        package.images = images;
        Ok(Sample { package, archive: RefCell::new(archive) })
    }
}

impl Sample {
    /// A file of the package, such as a template of a first-boot medium.
    pub(super) fn artefact(&self, path: &str) -> Result<Vec<u8>> {
        let mut archive = self.archive.try_borrow_mut().map_err(|_| Fault::bug("a package is read while it is read"))?;
        if !archive.contains(path) {
            return Err(Fault::invalid(format!("file {path} is not in the package")));
        }
        let mut bytes = Vec::new();
        archive.stream(path, &mut bytes, &[])?;
        Ok(bytes)
    }
}
