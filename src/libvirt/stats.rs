//! What a guest has used, by libvirt's statistics of one domain.
//!
//! The binding's bulk call hands out bare pointers; reading them is not for this file, so each guest that is measured is
//! asked for itself: a call for CPU, one for memory, one for each disk and NIC. Never: rates, sums.

use virt::{connect::Connect, sys};

use super::{guest::lookup, map};
use crate::{
    model::{domain::Layout, error::Result},
    vim::port::{GuestState, GuestStats, NicCounters, StatsAsk},
};

/// `None` for a guest that is off or not there; what ends while it is read is off.
pub fn of(conn: &Connect, ask: &StatsAsk, layout: &Layout) -> Result<Option<GuestStats>> {
    let Some(dom) = lookup(conn, ask.id)? else { return Ok(None) };
    let Some(now) = map::absent_is_none(map::now(&dom))? else { return Ok(None) };
    if matches!(now.guest(), GuestState::Off | GuestState::Crashed) {
        return Ok(None);
    }
    let info = match dom.info() {
        Ok(i) => i,
        Err(e) if map::is_absent(&e) || map::is_wrong_state(&e) => return Ok(None),
        Err(e) => return Err(map::fault(e)),
    };
    let mut out = GuestStats { cpu_ns: info.cpu_time, memory_kib: info.memory, ..GuestStats::default() };
    // A guest without a balloon driver says nothing of its own use: then what its process holds counts.
    if let Ok(all) = dom.memory_stats(0) {
        let of = |tag: u32| all.iter().find(|s| s.tag == tag).map(|s| s.val);
        let usable = of(sys::VIR_DOMAIN_MEMORY_STAT_USABLE).or(of(sys::VIR_DOMAIN_MEMORY_STAT_UNUSED));
        match (of(sys::VIR_DOMAIN_MEMORY_STAT_AVAILABLE), usable) {
            (Some(all), Some(free)) if all > 0 => {
                out.memory_kib = all;
                out.memory_used_kib = all.saturating_sub(free);
            }
            _ => out.memory_used_kib = of(sys::VIR_DOMAIN_MEMORY_STAT_RSS).unwrap_or(0).min(out.memory_kib),
        }
    }
    for d in &ask.disks {
        if let Ok(b) = dom.block_info(layout.disk(*d).as_str(), 0) {
            out.disk += b.capacity;
            out.disk_used += b.allocation.min(b.capacity);
        }
    }
    for name in &ask.nics {
        // A virtual function is not libvirt's to count.
        if let Ok(s) = dom.interface_stats(name.as_str()) {
            let n = |v: i64| u64::try_from(v).unwrap_or(0);
            let c =
                NicCounters { rx_bytes: n(s.rx_bytes), tx_bytes: n(s.tx_bytes), rx_packets: n(s.rx_packets), tx_packets: n(s.tx_packets) };
            out.nics.push((name.clone(), c));
        }
    }
    Ok(Some(out))
}
