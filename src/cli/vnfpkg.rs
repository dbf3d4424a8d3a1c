//! `bothy vnfpkg`: VNF packages, SOL005 9.

use camino::{Utf8Path, Utf8PathBuf};
use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    client::Client,
    failure::Failure,
    identity::named,
    nfvo::NFVOS,
    onboard,
    output::Out,
    resource::{Kind, request},
};

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
    /// Create a package and have the daemon fetch its archive, and wait until it is onboarded
    Fetch {
        /// Where it is; with --nfvo the id of its VNFD
        uri: String,
        /// Fetch it from this central NFVO, into the NFVO's project
        #[arg(long, value_name = "NAME", conflicts_with_all = ["request", "access"])]
        nfvo: Option<String>,
        /// The rest of the request, such as `paramsOauth2ClientCredentials`, JSON or YAML
        #[arg(long, value_name = "FILE")]
        request: Option<Utf8PathBuf>,
        /// How artefacts outside of the package are reached, as of `access`
        #[arg(long, value_name = "FILE")]
        access: Option<Utf8PathBuf>,
    },
    /// How artefacts outside of a package are reached; with a file (JSON or YAML: `artifact`, a list), tell it anew
    Access {
        package: String,
        file: Option<Utf8PathBuf>,
    },
    /// Save its artefacts, all but images, as one archive
    Artefacts {
        package: String,
        #[arg(short, long, value_name = "FILE")]
        output: Utf8PathBuf,
        /// With those that were fetched from elsewhere, and with signatures
        #[arg(long)]
        all: bool,
        /// Of those for others than MANO only these sets; repeat for more
        #[arg(long = "set", value_name = "SET")]
        sets: Vec<String>,
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
            VnfPkg::Fetch { uri: vnfd, nfvo: Some(nfvo), .. } => bring(client, out, &nfvo, &vnfd),
            VnfPkg::Fetch { uri, request: file, access, nfvo: None } => fetch(client, out, &uri, file.as_deref(), access.as_deref()),
            VnfPkg::Access { package, file } => {
                let at = format!("{}/ext_artifacts_access", VNFPKGS.find(client, &package)?);
                match file {
                    Some(f) => {
                        client.put(&at, &Value::Object(request(Some(&f))?))?;
                        out.done(&Value::Null, &format!("access to what is outside of {package} is told"));
                    }
                    None => out.record(&client.get(&at)?),
                }
                Ok(())
            }
            VnfPkg::Artefacts { package, output, all, sets } => {
                let mut query: Vec<String> = Vec::new();
                if all {
                    query.extend(["include_external_artifacts".into(), "include_signatures".into()]);
                }
                if !sets.is_empty() {
                    query.push(format!("select_non_mano_artifact_sets={}", sets.join(",")));
                }
                let at = format!("{}/artifacts?{}", VNFPKGS.find(client, &package)?, query.join("&"));
                let mut file = std::fs::File::create(&output).map_err(|e| Failure::here(format!("cannot write {output}"), e))?;
                let size = client.download(at.trim_end_matches('?'), &mut file)?;
                out.done(&json!({"file": output, "size": size}), &format!("{output}: {size} bytes"));
                Ok(())
            }
            VnfPkg::Enable { package } => operate(client, out, &package, "ENABLED"),
            VnfPkg::Disable { package } => operate(client, out, &package, "DISABLED"),
            VnfPkg::Delete { package } => VNFPKGS.delete(client, out, &package),
        }
    }
}

fn fetch(client: &Client, out: &Out, uri: &str, file: Option<&Utf8Path>, access: Option<&Utf8Path>) -> Result<(), Failure> {
    let mut ask = request(file)?;
    let access = access.map(|f| request(Some(f)).map(Value::Object)).transpose()?;
    ask.insert("addressInformation".into(), uri.into());
    if ask.contains_key("paramsOauth2ClientCredentials") {
        ask.insert("authType".into(), "OAUTH2_CLIENT_CREDENTIALS".into());
    }
    let done = onboard::by(client, &onboard::VNF_PACKAGE, |at| {
        if let Some(access) = &access {
            client.put(&format!("{at}/ext_artifacts_access"), access)?;
        }
        client.post(&format!("{at}/package_content/upload_from_uri"), &Value::Object(ask)).map(drop)
    })?;
    out.done(&done, &format!("onboarded VNF package {} from {uri}", done["id"].as_str().unwrap_or("?")));
    Ok(())
}

fn bring(client: &Client, out: &Out, nfvo: &str, vnfd: &str) -> Result<(), Failure> {
    let begun = client.post(&format!("{}/packages", named(NFVOS, nfvo)?), &json!({ "vnfdId": vnfd }))?;
    let at = begun.location.ok_or_else(|| Failure::Here("the daemon fetches a package and does not say which".into()))?;
    let done = onboard::settled(client, &onboard::VNF_PACKAGE, &at)?;
    out.done(&done, &format!("onboarded VNF package {} from NFVO {nfvo}", done["id"].as_str().unwrap_or("?")));
    Ok(())
}

fn operate(client: &Client, out: &Out, package: &str, state: &str) -> Result<(), Failure> {
    client.patch(&VNFPKGS.find(client, package)?, &json!({ "operationalState": state }))?;
    out.done(&Value::Null, &format!("VNF package {package} is {state}"));
    Ok(())
}
