//! The service of most tests: two guests of a boot sector, with every kind of resource a guest or a
//! link can have, up and down in seconds.

use serde_json::{Value, json};

use crate::kit::{
    bothy::{build, shipped, text},
    host::{Host, sector},
    scratch,
};

pub struct Pair {
    /// The NS instance's path.
    pub path: String,
}

/// The archive of the VNF.
pub fn station() -> Vec<u8> {
    station_of(&sector())
}

/// The same with guests of this disk.
pub fn station_of(disk: &[u8]) -> Vec<u8> {
    let dir = scratch();
    let image = dir.path().join("sector.img");
    std::fs::write(&image, disk).expect("written");
    build(&shipped("tests/fixtures/packages/station"), &[("Files/images/sector.img", &image)])
}

impl Pair {
    /// Onboards both packages.
    #[track_caller]
    pub fn onboard(host: &Host) {
        Pair::onboard_of(host, &sector());
    }
    /// The same with guests of this disk.
    #[track_caller]
    pub fn onboard_of(host: &Host, disk: &[u8]) {
        let (_, vnf) = host.onboard(false, &station_of(disk));
        assert_eq!(text(&vnf, "onboardingState"), "ONBOARDED", "{vnf}");
        let (_, ns) = host.onboard(true, &build(&shipped("tests/fixtures/packages/pair"), &[]));
        assert_eq!(text(&ns, "nsdOnboardingState"), "ONBOARDED", "{ns}");
    }
    #[track_caller]
    pub fn create(host: &Host, name: &str) -> Pair {
        Pair::of(host, "e2e00010-0000-4000-8000-000000000001", name)
    }
    /// A service of another descriptor.
    #[track_caller]
    pub fn of(host: &Host, nsd: &str, name: &str) -> Pair {
        let ask = json!({ "nsdId": nsd, "nsName": name, "nsDescription": "" });
        let made = host.post("/nslcm/v2/ns_instances", &ask).expect(201).json();
        Pair { path: format!("/nslcm/v2/ns_instances/{}", text(&made, "id")) }
    }
    /// The path of the accepted operation.
    #[track_caller]
    pub fn instantiate(&self, host: &Host) -> String {
        let a = host.post(&self.instantiation(), &instantiate_request()).expect(202);
        a.location.expect("names its operation")
    }
    #[track_caller]
    pub fn terminate(&self, host: &Host) -> String {
        let a = host.post(&self.termination(), &self.terminate_request(host)).expect(202);
        a.location.expect("names its operation")
    }
    pub fn instantiation(&self) -> String {
        format!("{}/instantiate", self.path)
    }
    pub fn termination(&self) -> String {
        format!("{}/terminate", self.path)
    }
    /// At once: a boot sector does not listen to the power button.
    #[track_caller]
    pub fn terminate_request(&self, host: &Host) -> Value {
        let how = |v: &String| json!({ "vnfInstanceId": v, "terminationType": "FORCEFUL" });
        json!({ "terminateVnfData": self.vnfs(host).iter().map(how).collect::<Vec<_>>() })
    }
    /// Ids of its VNF instances.
    #[track_caller]
    pub fn vnfs(&self, host: &Host) -> Vec<String> {
        let ns = host.get(&self.path);
        ns["vnfInstance"].as_array().into_iter().flatten().map(|v| text(v, "id").to_owned()).collect()
    }
}

pub fn instantiate_request() -> Value {
    json!({ "nsFlavourId": "default" })
}
