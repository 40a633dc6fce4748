//! What the functions that hand notifications on are tested with: [`aws`] is all that is around
//! them but the service.

pub(crate) mod aws;
