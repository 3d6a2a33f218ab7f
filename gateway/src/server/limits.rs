//! What people may have, as the configuration says.

use crate::config::{AllowanceConfig, Config, Cpus, DriverName, Size};
use crate::workspaces::{Allowance, Demand, Limits};

/// Billionths of a processor in a thousandth.
const NANOS: u64 = 1_000_000;

/// Returns what people may have, and what one workspace is given.
pub(super) fn limits(config: &Config) -> Limits {
    let cpus = |cpus: Cpus| u64::from(cpus.thousandths()) * NANOS;
    let allowance = |of: &AllowanceConfig| Allowance {
        workspaces: of.workspaces.map(u64::from),
        running: of.running.map(u64::from),
        nano_cpus: of.cpus.map(cpus),
        memory: of.memory.map(Size::bytes),
        disk: of.disk.map(Size::bytes),
    };
    let docker = &config.docker;
    let each = match config.workspaces.driver {
        DriverName::Process => Demand::default(),
        DriverName::Docker => Demand {
            nano_cpus: docker.cpus.map(cpus).unwrap_or_default(),
            memory: docker.memory.map(Size::bytes).unwrap_or_default(),
        },
    };
    Limits {
        user: allowance(&config.limits.user),
        total: allowance(&config.limits.total),
        each,
    }
}
