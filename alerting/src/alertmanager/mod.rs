//! `alertmanager.yml`: whom to tell, in Alertmanager's own format, bare or wrapped as an
//! alert-manager definition of AMP.
//!
//! Read are one route and receivers with `sns_configs`. Whatever else Alertmanager knows is
//! refused by name, never passed over: a setting that is silently without effect is worse than
//! one that is missing.

mod definition;
mod file;
mod known;
mod load;

pub use load::{AlertmanagerConfig, load};
