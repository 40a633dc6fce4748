//! `alertmanager.yml`: receivers and routes in Alertmanager's own format, bare or wrapped as an
//! alert-manager definition of AMP.
//!
//! Read is all that has to do with routing, and receivers with `sns_configs`. Whatever else
//! Alertmanager knows is refused by name, never passed over: a setting that is silently without
//! effect is worse than one that is missing. Only the defaults in `global` for receivers of other
//! kinds are, since without such a receiver they have no effect anywhere. What has no bearing on
//! notifications loads, and [`AlertmanagerConfig::warnings`] names it.

mod definition;
mod file;
mod intervals;
mod known;
mod load;
mod not_used;
mod receivers;
mod routes;
mod templates;

pub use load::{AlertmanagerConfig, load};
