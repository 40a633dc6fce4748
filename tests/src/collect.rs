//! From the cluster into the workspace: every way that `deploy/` has, run by a real Prometheus.
//!
//! - [`manifests`]: what kustomize makes of `deploy/kubernetes`, and what is in the other files
//! - [`ways`]: the scrape configurations, lifted out of them
//! - [`cluster`]: a simulated EKS cluster on addresses of the loopback network
//! - [`api_server`]: the part of a Kubernetes API that discovery asks, with the collector's rights
//!
//! Of a configuration only this is changed: `$$` is `$`, as the collector reads it; samples go to
//! a Prometheus of the test; and since there is no pod here whose account could be taken, a
//! kubeconfig names the API server and the token.

pub(crate) mod api_server;
pub(crate) mod cluster;
mod judged;
mod kept;
pub(crate) mod manifests;
pub(crate) mod scraped;
mod settings;
mod ways;
