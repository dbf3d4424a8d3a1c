//! How the box is configured: what the image ships, and lines that a test adds. Never: what they mean.

use serde_json::{Value, json};

use crate::kit::{COMMAND, Lab};

const FILE: &str = "/etc/bothy/bothy.toml";
const SHIPPED: &str = include_str!("../../../image/files/etc/bothy/bothy.toml");

impl Lab {
    /// Has the daemon run by the shipped configuration and these lines, which begin inside its `[host]`.
    #[track_caller]
    pub fn configure(&mut self, lines: &str) {
        self.replace(FILE, format!("{SHIPPED}{lines}").as_bytes());
        // The unit is started when the daemon says that it is ready.
        if self.bothy(&["config", "apply"])["restart"] != json!([]) {
            self.sh("systemctl restart bothy");
        }
    }

    /// Does the plan; whether something of it waits for a reboot.
    #[track_caller]
    pub fn apply(&mut self, arguments: &[&str]) -> bool {
        let outcome = self.bothy(&[&["host", "apply"], arguments].concat());
        assert_eq!(outcome["failed"], json!([]), "{outcome}");
        outcome["reboot"] == true
    }

    /// The same with a profile that moves interrupts: of these the kernel may keep some, and nothing else may fail.
    #[track_caller]
    pub fn apply_profile(&mut self) -> bool {
        let e = self.run(&["/usr/bin/bothy", "--json", "host", "apply"], b"", COMMAND);
        let outcome: Value = serde_json::from_str(&e.out).unwrap_or_else(|why| panic!("{why}: {}{}", e.out, e.err));
        let is = |f: &Value, member: &str, words: &str| f[member].as_str().is_some_and(|t| t.contains(words));
        let failed = outcome["failed"].as_array().expect("a list");
        assert!(failed.iter().all(|f| is(f, "what", "interrupts to CPUs") && is(f, "why", "the kernel keeps it on")), "{outcome}");
        outcome["reboot"] == true
    }

    /// What is to be done, and what each item needs.
    #[track_caller]
    pub fn planned(&mut self) -> Vec<(String, String)> {
        let plan = self.bothy(&["host", "plan"]);
        assert_eq!(plan["blocked"], json!([]), "{plan}");
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        plan["items"].as_array().expect("items").iter().map(|i| (text(&i["what"]), text(&i["needs"]))).collect()
    }
}
