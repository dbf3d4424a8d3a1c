//! Onboarding of an archive: create, upload, wait for the verdict. One way for packages and NSDs.

use std::time::{Duration, Instant};

use camino::Utf8Path;
use hyper::{Method, body::Bytes};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{client::Client, failure::Failure, output::Out};

/// What differs between the two.
pub struct Way {
    what: &'static str,
    path: &'static str,
    content: &'static str,
    state: &'static str,
}

pub const VNF_PACKAGE: Way =
    Way { what: "VNF package", path: "/vnfpkgm/v2/vnf_packages", content: "package_content", state: "onboardingState" };
pub const NSD: Way = Way { what: "NS descriptor", path: "/nsd/v2/ns_descriptors", content: "nsd_content", state: "nsdOnboardingState" };

/// How long the daemon may look at an archive whose images it has to read.
const PATIENCE: Duration = Duration::from_secs(600);

/// Gives the resource as it is when onboarded. One that failed is removed again: its faults have
/// been told, and it could never be used.
pub fn onboard(client: &Client, out: &Out, way: &Way, file: &Utf8Path) -> Result<Value, Failure> {
    let done = quietly(client, way, file)?;
    out.done(&done, &format!("onboarded {} {} from {file}", way.what, done["id"].as_str().unwrap_or("?")));
    Ok(done)
}

/// The same, with nothing said.
pub fn quietly(client: &Client, way: &Way, file: &Utf8Path) -> Result<Value, Failure> {
    let size = std::fs::metadata(file).map_err(|e| Failure::here(format!("cannot read {file}"), e))?.len();
    by(client, way, |path| send(client, way, file, path, size))
}

/// The same by another way for the archive to come; `send` is given the path of the resource.
pub fn by(client: &Client, way: &Way, send: impl FnOnce(&str) -> Result<(), Failure>) -> Result<Value, Failure> {
    let created = client.post(way.path, &json!({}))?;
    let id = created.body["id"].as_str().ok_or_else(|| Failure::Here("the daemon created a resource without an id".into()))?;
    let path = format!("{}/{id}", way.path);
    let outcome = send(&path).and_then(|()| settled(client, way, &path));
    match outcome {
        Ok(done) => Ok(done),
        Err(f) => {
            let _ = client.delete(&path);
            Err(f)
        }
    }
}

fn send(client: &Client, way: &Way, file: &Utf8Path, path: &str, size: u64) -> Result<(), Failure> {
    sent(client, Method::PUT, &format!("{path}/{}", way.content), file, size).map(drop)
}

/// Sends an archive, with a bar that follows it; gives the answer.
pub fn sent(client: &Client, method: Method, path: &str, file: &Utf8Path, size: u64) -> Result<Bytes, Failure> {
    sent_as(client, method, path, file, size, "application/zip")
}

/// The same for a body that is no archive.
pub fn sent_as(client: &Client, method: Method, path: &str, file: &Utf8Path, size: u64, media_type: &str) -> Result<Bytes, Failure> {
    let bar = ProgressBar::new(size);
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {bytes}/{total_bytes} {bytes_per_sec} {wide_msg}") {
        bar.set_style(style);
    }
    bar.set_message(file.file_name().unwrap_or_default().to_owned());
    let told = bar.clone();
    let answer = client.upload(method, path, file, media_type, move |n| told.set_position(n));
    bar.finish_and_clear();
    answer
}

/// As it is when onboarded.
pub fn settled(client: &Client, way: &Way, path: &str) -> Result<Value, Failure> {
    let begun = Instant::now();
    loop {
        let now = client.get(path)?;
        match now[way.state].as_str() {
            Some("ONBOARDED") => return Ok(now),
            Some("ERROR") => return Err(Failure::operation("the archive was refused", &now["onboardingFailureDetails"])),
            _ if begun.elapsed() > PATIENCE => {
                return Err(Failure::Here(format!("the daemon still looks at the archive after {} s", PATIENCE.as_secs())));
            }
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}
