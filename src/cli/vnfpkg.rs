//! `bothy vnfpkg`: VNF packages, SOL005 9.

use camino::Utf8PathBuf;
use clap::Subcommand;
use serde_json::{Value, json};

use super::{client::Client, failure::Failure, onboard, output::Out, resource::Kind};

pub const VNFPKGS: Kind = Kind {
    what: "VNF package",
    path: "/vnfpkgm/v2/vnf_packages",
    columns: &[
        ("ID", "id"),
        ("PRODUCT", "vnfProductName"),
        ("VERSION", "vnfSoftwareVersion"),
        ("PROVIDER", "vnfProvider"),
        ("ONBOARDING", "onboardingState"),
        ("STATE", "operationalState"),
        ("USAGE", "usageState"),
    ],
    names: &["vnfProductName", "vnfdId"],
};

#[derive(Subcommand)]
pub enum VnfPkg {
    List,
    Show {
        package: String,
    },
    /// Create a package, upload its archive, and wait until it is onboarded
    Onboard {
        file: Utf8PathBuf,
    },
    /// Let it be instantiated
    Enable {
        package: String,
    },
    /// No new instances of it
    Disable {
        package: String,
    },
    /// Only when disabled and not in use
    Delete {
        package: String,
    },
}

impl VnfPkg {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            VnfPkg::List => VNFPKGS.show_list(client, out),
            VnfPkg::Show { package } => VNFPKGS.show(client, out, &package),
            VnfPkg::Onboard { file } => onboard::onboard(client, out, &onboard::VNF_PACKAGE, &file).map(|_| ()),
            VnfPkg::Enable { package } => operate(client, out, &package, "ENABLED"),
            VnfPkg::Disable { package } => operate(client, out, &package, "DISABLED"),
            VnfPkg::Delete { package } => VNFPKGS.delete(client, out, &package),
        }
    }
}

fn operate(client: &Client, out: &Out, package: &str, state: &str) -> Result<(), Failure> {
    client.patch(&VNFPKGS.find(client, package)?, &json!({ "operationalState": state }))?;
    out.done(&Value::Null, &format!("VNF package {package} is {state}"));
    Ok(())
}
