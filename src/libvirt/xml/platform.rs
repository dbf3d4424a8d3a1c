//! What a placement means in a domain: pages, NUMA, CPU pins and weights, and the CPU that is seen.
//!
//! Owns everything of `Epa` and `Placed` that is not a device. A guest without wishes and placement gets
//! none of these elements. Never: decides where anything runs.

use super::{Host, Out, Wrote, accel, leaf, node, text};
use crate::{
    model::{
        domain::DomainSpec,
        epa::{FeatureWish, MemPolicy, NicAttach, Placed, Topology},
    },
    vim::port::Accel,
};

/// The CPU controller's period, microseconds; libvirt's own default.
const PERIOD_US: u64 = 100_000;
/// The shortest quota the kernel takes.
const LEAST_QUOTA_US: u64 = 1000;

/// What keeps a spec's wishes from being a domain.
pub fn check(spec: &DomainSpec, host: &Host<'_>, reasons: &mut Vec<String>) {
    if spec.epa.quotas.cpu.limit.is_some() && host.mhz.is_none() {
        reasons.push("it has a CPU limit in MHz, and this host does not tell its clock".into());
    }
    reasons.extend(spec.misplaced());
}

fn shares_memory(spec: &DomainSpec) -> bool {
    spec.nics.iter().any(|n| n.wish.attach == NicAttach::VhostUser)
}

/// More than one cell, or a topology that was asked for: the guest is shown NUMA.
fn cells(spec: &DomainSpec) -> Option<&Placed> {
    spec.placed.as_ref().filter(|p| spec.epa.numa.is_some() || p.cells.len() > 1)
}

/// How many vCPUs, and where all threads of a guest may run that has no place: from the first instruction on.
pub fn vcpu(w: &mut Out, spec: &DomainSpec, host: &Host<'_>) -> Wrote {
    let placed = spec.placed.as_ref().is_some_and(|p| !p.vcpus.is_empty());
    let float = host.float.filter(|cpus| !placed && !cpus.is_empty()).map(ToString::to_string);
    let mut attrs = vec![("placement", "static")];
    attrs.extend(float.as_deref().map(|cpus| ("cpuset", cpus)));
    text(w, "vcpu", &attrs, &spec.vcpus.to_string())
}

/// `memoryBacking`, `iothreads`, `cputune`, `numatune`, in the schema's order.
pub fn resources(w: &mut Out, spec: &DomainSpec, host: &Host<'_>) -> Wrote {
    memory_backing(w, spec)?;
    if spec.epa.io_threads > 0 {
        text(w, "iothreads", &[], &spec.epa.io_threads.to_string())?;
    }
    cputune(w, spec, host)?;
    match &spec.placed {
        Some(placed) => numatune(w, spec, placed),
        None => Ok(()),
    }
}

fn memory_backing(w: &mut Out, spec: &DomainSpec) -> Wrote {
    let huge = spec.placed.as_ref().filter(|p| p.page.is_huge());
    let (locked, shared) = (spec.epa.locked, shares_memory(spec));
    if huge.is_none() && !locked && !shared {
        return Ok(());
    }
    node(w, "memoryBacking", &[], |w| {
        if let Some(p) = huge {
            node(w, "hugepages", &[], |w| {
                let size = p.page.kib().to_string();
                let mut attrs = vec![("size", size.as_str()), ("unit", "KiB")];
                let last = p.cells.len().saturating_sub(1);
                let nodes = if last == 0 { "0".to_owned() } else { format!("0-{last}") };
                if cells(spec).is_some() {
                    attrs.push(("nodeset", nodes.as_str()));
                }
                leaf(w, "page", &attrs)
            })?;
        }
        if locked {
            // Pages that are merged with another guest's are not this guest's alone.
            leaf(w, "nosharepages", &[])?;
            leaf(w, "locked", &[])?;
        }
        if shared {
            // The switch maps the guest's memory.
            leaf(w, "source", &[("type", "memfd")])?;
            leaf(w, "access", &[("mode", "shared")])?;
        }
        Ok(())
    })
}

fn cputune(w: &mut Out, spec: &DomainSpec, host: &Host<'_>) -> Wrote {
    let quota = spec.epa.quotas.cpu;
    let bare = spec.placed.as_ref().is_none_or(|p| p.vcpus.is_empty() && p.emulator.is_empty() && p.io_threads.is_empty());
    if bare && quota.limit.is_none() && quota.shares.is_none() && spec.epa.real_time.is_empty() {
        return Ok(());
    }
    node(w, "cputune", &[], |w| {
        if let Some(shares) = quota.shares {
            // libvirt hands on what it is given, whatever that means to the kernel.
            let value = if host.weights { (shares * 100).div_ceil(1024).max(1) } else { shares };
            text(w, "shares", &[], &value.to_string())?;
        }
        if let (Some(limit), Some(mhz)) = (quota.limit, host.mhz) {
            // Of each vCPU: its part of the limit, in time of a CPU of this host.
            let all = u64::from(mhz.max(1)) * u64::from(spec.vcpus.max(1));
            let us = (u64::from(limit) * PERIOD_US / all).max(LEAST_QUOTA_US);
            text(w, "period", &[], &PERIOD_US.to_string())?;
            text(w, "quota", &[], &us.to_string())?;
        }
        if let Some(p) = &spec.placed {
            for (i, cpus) in p.vcpus.iter().enumerate() {
                leaf(w, "vcpupin", &[("vcpu", &i.to_string()), ("cpuset", &cpus.to_string())])?;
            }
            if !p.emulator.is_empty() {
                leaf(w, "emulatorpin", &[("cpuset", &p.emulator.to_string())])?;
            }
            for (i, cpus) in p.io_threads.iter().enumerate().filter(|(_, c)| !c.is_empty()) {
                leaf(w, "iothreadpin", &[("iothread", &(i + 1).to_string()), ("cpuset", &cpus.to_string())])?;
            }
        }
        if !spec.epa.real_time.is_empty() {
            leaf(w, "vcpusched", &[("vcpus", &spec.epa.real_time.to_string()), ("scheduler", "fifo"), ("priority", "1")])?;
        }
        Ok(())
    })
}

fn numatune(w: &mut Out, spec: &DomainSpec, placed: &Placed) -> Wrote {
    let nodes = placed.nodes();
    if nodes.is_empty() {
        return Ok(());
    }
    let mode = match placed.memory_policy {
        MemPolicy::Strict => "strict",
        MemPolicy::Preferred => "preferred",
    };
    node(w, "numatune", &[], |w| {
        // For all of QEMU's memory; one node only can be preferred.
        let whole = placed.cells.iter().all(|c| c.node.is_some());
        if whole && (placed.memory_policy == MemPolicy::Strict || nodes.len() == 1) {
            leaf(w, "memory", &[("mode", mode), ("nodeset", &nodes.to_string())])?;
        }
        if cells(spec).is_some() {
            for (i, c) in placed.cells.iter().enumerate() {
                if let Some(n) = c.node {
                    leaf(w, "memnode", &[("cellid", &i.to_string()), ("mode", mode), ("nodeset", &n.to_string())])?;
                }
            }
        }
        Ok(())
    })
}

/// Threads and cores as they are on the host, where the descriptor does not say.
fn topology(spec: &DomainSpec) -> Option<Topology> {
    if spec.epa.cpu.topology.is_some() {
        return spec.epa.cpu.topology;
    }
    let placed = spec.placed.as_ref()?;
    let sockets = if cells(spec).is_some() { u16::try_from(placed.cells.len()).ok()? } else { 1 };
    let threads = placed.threads.max(1);
    let vcpus = u16::try_from(spec.vcpus).ok()?;
    // Cells of different sizes make no sockets: libvirt's own default it is, a socket for each vCPU.
    let per_cell = vcpus.checked_div(sockets)?;
    let even = placed.cells.iter().all(|c| c.vcpus.len() == usize::from(per_cell)) && per_cell.is_multiple_of(threads);
    even.then_some(Topology { sockets, cores: per_cell / threads, threads })
}

/// The CPU that the guest sees.
pub fn cpu(w: &mut Out, spec: &DomainSpec, accel: Accel) -> Wrote {
    let (topology, features) = (topology(spec), &spec.epa.cpu.features);
    let rest = |w: &mut Out| {
        if let Some(t) = topology {
            let (s, c, h) = (t.sockets.to_string(), t.cores.to_string(), t.threads.to_string());
            leaf(w, "topology", &[("sockets", s.as_str()), ("dies", "1"), ("cores", c.as_str()), ("threads", h.as_str())])?;
        }
        for (name, wish) in features {
            let policy = match wish {
                FeatureWish::Require => "require",
                FeatureWish::Disable => "disable",
            };
            leaf(w, "feature", &[("policy", policy), ("name", name)])?;
        }
        let Some(placed) = cells(spec) else { return Ok(()) };
        node(w, "numa", &[], |w| {
            for (i, c) in placed.cells.iter().enumerate() {
                let (id, cpus, memory) = (i.to_string(), c.vcpus.to_string(), c.memory.0.to_string());
                let mut attrs = vec![("id", id.as_str()), ("cpus", cpus.as_str()), ("memory", memory.as_str()), ("unit", "MiB")];
                if shares_memory(spec) {
                    attrs.push(("memAccess", "shared"));
                }
                leaf(w, "cell", &attrs)?;
            }
            Ok(())
        })
    };
    let more = topology.is_some() || !features.is_empty() || cells(spec).is_some();
    accel::cpu(w, accel, spec.epa.cpu.model.as_deref(), more.then_some(rest))
}
