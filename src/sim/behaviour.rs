//! What a simulated guest does by itself. Data only.

use std::time::Duration;

/// How a guest behaves from its start on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    pub boot: Boot,
    /// Time from the power button to off; `None`: it never listens.
    pub acpi: Option<Duration>,
    /// Time from start until the guest agent answers; `None`: it has none.
    pub agent: Option<Duration>,
    /// Whether it lets go of a function that is unplugged.
    pub unplug: Unplug,
    /// Written on the serial console at each start.
    pub serial: Vec<u8>,
}

/// How a run goes on when nobody interferes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    Stays,
    HaltsAfter(Duration),
    CrashesAfter(Duration),
}

/// What comes of an unplugging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unplug {
    Obeys,
    /// Its system never hears it.
    Ignores,
    /// Its devices sit where none can be unplugged.
    Cannot,
}

impl Default for Behaviour {
    /// Runs until asked to stop, obeys at once, and has an agent.
    fn default() -> Self {
        Behaviour { boot: Boot::Stays, acpi: Some(Duration::ZERO), agent: Some(Duration::ZERO), unplug: Unplug::Obeys, serial: Vec::new() }
    }
}

impl Behaviour {
    /// Ends as soon as it runs, as the guest of a benchmark does.
    pub fn halts() -> Self {
        Behaviour { boot: Boot::HaltsAfter(Duration::ZERO), agent: None, ..Behaviour::default() }
    }
    /// Has no agent and never hears the power button.
    pub fn deaf() -> Self {
        Behaviour { acpi: None, agent: None, ..Behaviour::default() }
    }
}
