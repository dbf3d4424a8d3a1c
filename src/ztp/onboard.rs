//! What onboarding information asks for, in its order (RFC 8572 5.6), and what the end of a script means.

use super::conveyed::{BootImage, Configuration, Onboarding};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Do {
    /// Another software has to run first; after its boot the device begins anew.
    BootImage(BootImage),
    PreScript(Vec<u8>),
    Configure(Configuration),
    PostScript(Vec<u8>),
}

/// The software that runs: what `os-name` and `os-version` are held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub name: String,
    pub version: String,
}

pub fn steps(o: Onboarding, running: &Running) -> Vec<Do> {
    let mut all = Vec::new();
    if let Some(image) = o.boot_image
        && !fits(&image, running)
    {
        all.push(Do::BootImage(image));
    }
    all.extend(o.pre_script.map(Do::PreScript));
    all.extend(o.configuration.map(Do::Configure));
    all.extend(o.post_script.map(Do::PostScript));
    all
}

/// What is not said fits.
fn fits(image: &BootImage, running: &Running) -> bool {
    let same = |want: &Option<String>, have: &str| want.as_ref().is_none_or(|w| w == have);
    same(&image.os_name, &running.name) && same(&image.os_version, &running.version)
}

/// `typedef script` of RFC 8572 6.3 speaks of exit statuses below zero. A process has eight bits for one: they are read
/// as a signed number, so 128 to 255 are below zero, and so is an end by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptEnd {
    Done,
    /// Bothy goes on, with a warning.
    Soft(u8),
    /// What was changed is taken back.
    Hard,
}

/// `code`: the exit status, if it ended by one.
pub fn script_end(code: Option<i32>) -> ScriptEnd {
    match code {
        Some(0) => ScriptEnd::Done,
        Some(c @ 1..=127) => ScriptEnd::Soft(u8::try_from(c).unwrap_or(u8::MAX)),
        Some(_) | None => ScriptEnd::Hard,
    }
}
