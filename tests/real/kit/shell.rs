//! Guests that do what they are told: their packages (`tests/fixtures/packages`), the shell that each of them has on its
//! management link (`tests/fixtures/guests/user-data`), and what the API knows of them.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    bothy::{build_edited, shipped, text, within},
    host::Host,
};

/// A package of a guest: of the tiny image, with the shell.
pub fn package(image: &Path, name: &str, edits: &[(&str, &str, &str)]) -> Vec<u8> {
    let shell = shipped("tests/fixtures/guests/user-data");
    let files = [("Files/images/tiny.qcow2", image), ("Files/day0/user-data", shell.as_path())];
    build_edited(&shipped(&format!("tests/fixtures/packages/{name}")), &files, edits)
}

/// Onboards VNF packages with these names, and the one NSD.
#[track_caller]
pub fn onboard(host: &Host, image: &Path, vnfs: &[&str], nsd: &str) {
    for name in vnfs {
        let (_, v) = host.onboard(false, &package(image, name, &[]));
        assert_eq!(text(&v, "onboardingState"), "ONBOARDED", "{v:#}");
    }
    let (_, n) = host.onboard(true, &package_of_service(nsd, &[]));
    assert_eq!(text(&n, "nsdOnboardingState"), "ONBOARDED", "{n:#}");
}

pub fn package_of_service(name: &str, edits: &[(&str, &str, &str)]) -> Vec<u8> {
    build_edited(&shipped(&format!("tests/fixtures/packages/{name}")), &[], edits)
}

/// A VNF instance by its name.
#[track_caller]
pub fn vnf(host: &Host, name: &str) -> Value {
    let all = host.get("/vnflcm/v2/vnf_instances");
    let one = all.as_array().into_iter().flatten().find(|v| v["vnfInstanceName"] == name);
    let id = text(one.unwrap_or_else(|| panic!("no {name} in {all:#}")), "id");
    host.get(&format!("/vnflcm/v2/vnf_instances/{id}"))
}

/// The guests of a VDU.
pub fn guests<'v>(vnf: &'v Value, vdu: &str) -> Vec<&'v Value> {
    vnf["instantiatedVnfInfo"]["vnfcResourceInfo"].as_array().into_iter().flatten().filter(|g| g["vduId"] == vdu).collect()
}

/// The addresses that were planned for a connection point of a guest.
#[track_caller]
pub fn addresses(guest: &Value, cp: &str) -> Vec<String> {
    let mut all = guest["vnfcCpInfo"].as_array().into_iter().flatten();
    let cp = all.find(|c| c["cpdId"] == cp).unwrap_or_else(|| panic!("no {cp} in {guest:#}"));
    let groups = cp["cpProtocolInfo"][0]["ipOverEthernet"]["ipAddresses"].as_array().into_iter().flatten();
    let each = groups.flat_map(|g| g["addresses"].as_array().into_iter().flatten());
    each.filter_map(|a| a.as_str()).map(str::to_owned).collect()
}

/// The shell of one guest.
pub struct Shell<'h> {
    host: &'h Host,
    at: String,
}

impl<'h> Shell<'h> {
    /// By its address on a link that the host is on; there when this returns.
    #[track_caller]
    pub fn at(host: &'h Host, address: &str) -> Shell<'h> {
        let s = Shell { host, at: format!("{address}:80") };
        within(&format!("the shell at {address}"), Duration::from_secs(120), || s.ask("true"));
        s
    }

    /// What is printed, and the word of how it ended.
    fn ask(&self, script: &str) -> Option<String> {
        let length = script.len();
        let request = format!("POST /cgi-bin/sh HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{script}");
        let all = self.host.exchange(&self.at, &request, usize::MAX)?;
        let body = all.split_once("\r\n\r\n").or_else(|| all.split_once("\n\n"))?.1;
        body.contains("ended ").then(|| body.to_owned())
    }
    /// Runs it, within 30 s, and not before it has ended: whether it ended well, and what it printed.
    #[track_caller]
    pub fn tries(&self, script: &str) -> (bool, String) {
        let said = self.ask(script).unwrap_or_else(|| panic!("no answer of {} to {script}", self.at));
        let (said, code) = said.rsplit_once("ended ").expect("how it ended");
        (code.trim() == "0", said.to_owned())
    }
    /// The same where it has to end well.
    #[track_caller]
    pub fn says(&self, script: &str) -> String {
        let (ok, said) = self.tries(script);
        assert!(ok, "{} to {script}: {said}", self.at);
        said
    }
    /// A number that it prints.
    #[track_caller]
    pub fn number(&self, script: &str) -> u64 {
        let said = self.says(script);
        said.trim().parse().unwrap_or_else(|_| panic!("{} to {script}: {said}", self.at))
    }

    /// Of these addresses those that answer, pinged all at a time; `as_whom`: the sender's.
    #[track_caller]
    pub fn hears(&self, all: &[&str], as_whom: Option<&str>) -> Vec<String> {
        let from = as_whom.map(|a| format!("-I {a}")).unwrap_or_default();
        let script = format!(
            "for to in {}; do ping=ping; case $to in *:*) ping=ping6 ;; esac\n\
             (for n in 1 2; do $ping -q {from} -c 1 -W 1 $to >/dev/null 2>&1 && {{ echo $to; break; }}; done) & done; wait",
            all.join(" ")
        );
        let mut heard: Vec<String> = self.says(&script).lines().map(str::to_owned).collect();
        heard.sort();
        heard
    }
    /// Of these addresses exactly those answer, sooner or later.
    #[track_caller]
    pub fn reaches(&self, all: &[&str], those: &[&str]) {
        let mut those: Vec<String> = those.iter().map(|t| (*t).to_owned()).collect();
        those.sort();
        let mut last = Vec::new();
        let until = Instant::now() + Duration::from_secs(40);
        while Instant::now() < until {
            last = self.hears(all, None);
            if last == those {
                return;
            }
        }
        panic!("of {all:?} {} reaches {last:?}, and not {those:?} alone", self.at);
    }
    /// What an NIC has for its link alone.
    #[track_caller]
    pub fn link_local(&self, nic: &str) -> String {
        let said = self.says(&format!("ip -6 addr show dev {nic} scope link"));
        let at = said.split_whitespace().find(|w| w.starts_with("fe80:"));
        at.and_then(|a| a.split('/').next()).unwrap_or_else(|| panic!("none on {nic}: {said}")).to_owned()
    }
}
