//! `bothy nsd`: network service descriptors, SOL005 5.

use camino::Utf8PathBuf;
use clap::Subcommand;
use serde_json::{Value, json};

use super::{client::Client, failure::Failure, onboard, output::Out, resource::Kind};

pub const NSDS: Kind = Kind {
    what: "NS descriptor",
    path: "/nsd/v2/ns_descriptors",
    columns: &[
        ("ID", "id"),
        ("NAME", "nsdName"),
        ("VERSION", "nsdVersion"),
        ("DESIGNER", "nsdDesigner"),
        ("ONBOARDING", "nsdOnboardingState"),
        ("STATE", "nsdOperationalState"),
        ("USAGE", "nsdUsageState"),
    ],
    names: &["nsdName", "nsdId", "nsdInvariantId"],
};

#[derive(Subcommand)]
pub enum Nsd {
    List,
    Show {
        nsd: String,
    },
    /// Create a descriptor, upload its archive, and wait until it is onboarded
    Onboard {
        file: Utf8PathBuf,
    },
    /// Let it be instantiated
    Enable {
        nsd: String,
    },
    /// No new instances of it
    Disable {
        nsd: String,
    },
    /// Only when disabled and not in use
    Delete {
        nsd: String,
    },
}

impl Nsd {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Nsd::List => NSDS.show_list(client, out),
            Nsd::Show { nsd } => NSDS.show(client, out, &nsd),
            Nsd::Onboard { file } => onboard::onboard(client, out, &onboard::NSD, &file).map(|_| ()),
            Nsd::Enable { nsd } => operate(client, out, &nsd, "ENABLED"),
            Nsd::Disable { nsd } => operate(client, out, &nsd, "DISABLED"),
            Nsd::Delete { nsd } => NSDS.delete(client, out, &nsd),
        }
    }
}

fn operate(client: &Client, out: &Out, nsd: &str, state: &str) -> Result<(), Failure> {
    client.patch(&NSDS.find(client, nsd)?, &json!({ "nsdOperationalState": state }))?;
    out.done(&Value::Null, &format!("NS descriptor {nsd} is {state}"));
    Ok(())
}
