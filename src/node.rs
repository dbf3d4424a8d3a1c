//! The composition root: the only room that names adapters.

mod centre;
mod conditions;
pub mod core;
pub mod daemon;
mod log;
mod ports;
mod system;
pub mod ztp;

#[cfg(test)]
mod kit;
#[cfg(test)]
mod tests;
