//! A dry run of a service whose packages are not onboarded: they come with the request, and go with it.
//!
//! Owns the way from an archive of archives to the planner that onboarded packages go to as well. Never: a
//! record, or a file that stays.

use camino::{Utf8Path, Utf8PathBuf};
use smol_str::SmolStr;

use super::{
    Nfvo,
    accept::{InstantiateNs, NsDryRun, nsd_of},
};
use crate::{
    descriptor::{Archive, Content, Limits, NsdContent, read_package},
    model::{
        error::{Fault, Result},
        id::{NsdInfoId, ProjectId},
        size::Bytes,
    },
    vnfm::{
        package::{guarded, write_entry},
        plan::fresh_uuid,
        sample::Sample,
    },
};

/// What the archives of a bundle hold.
#[derive(Default)]
struct Held {
    samples: Vec<Sample>,
    nsds: Vec<NsdContent>,
}

impl Nfvo {
    /// What the service `nsd_id` would become. What `entries` of `bundle` do not hold is looked for among what is
    /// onboarded. All that is wrong with any of them is told at once.
    pub fn dry_bundle(
        &self,
        project: ProjectId,
        bundle: &mut Archive,
        entries: &[SmolStr],
        (nsd_id, name): (&str, SmolStr),
        ask: &InstantiateNs,
    ) -> Result<NsDryRun> {
        let sizes = bundle.entries().filter(|(path, _)| entries.contains(path)).map(|(_, size)| size).sum();
        self.vnfm.room_for("to look into the packages", Bytes(sizes))?;
        let (mut held, mut faults, mut files) = (Held::default(), Vec::new(), Vec::new());
        for entry in entries {
            let file = Passing(self.vnfm.layout().uploads().join(format!("plan-{}", fresh_uuid(&**self.vnfm.dice()))));
            // A fault of the box is not one of the package.
            write_entry(bundle, entry, &file.0)?;
            if let Err(f) = guarded(|| self.look_into(project, &file.0, &mut held)) {
                faults.push(f.context(entry.to_string()));
            }
            files.push(file);
        }
        match faults.len() {
            0 => {}
            1 => return Err(faults.remove(0)),
            n => {
                let kind = faults[0].kind();
                return Err(Fault::new(kind, format!("{n} packages cannot be used")).with_reasons(faults.iter().map(Fault::detail)));
            }
        }
        match held.nsds.into_iter().find(|n| n.nsd.id == nsd_id) {
            Some(mut content) => {
                let info = NsdInfoId(fresh_uuid(&**self.vnfm.dice()));
                self.fit(info, project, &mut content.nsd, &held.samples)?;
                self.dry(&self.draft_ns(project, info, nsd_id, name), &content.nsd, &held.samples, ask)
            }
            None => {
                let info = self.nsd_by_id(project, nsd_id)?;
                self.dry(&self.draft_ns(project, info.id, nsd_id, name), nsd_of(&info)?, &held.samples, ask)
            }
        }
    }

    fn look_into(&self, project: ProjectId, file: &Utf8Path, held: &mut Held) -> Result<()> {
        let limits = Limits::default();
        let mut archive = Archive::open(file.as_std_path(), &limits).map_err(Fault::from)?;
        match read_package(&mut archive, &limits).map_err(Fault::from)? {
            Content::Vnf(content) => held.samples.push(self.vnfm.sample(project, archive, content)?),
            Content::Nsd(content) => held.nsds.push(content),
            Content::Pnfd(_) => return Err(Fault::invalid("this is a PNFD archive: a dry run takes VNF packages and NSD archives")),
        }
        Ok(())
    }
}

/// A file that goes when the dry run is over.
struct Passing(Utf8PathBuf);

impl Drop for Passing {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
