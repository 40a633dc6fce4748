//! What the functions share that hand notifications on: topic → queue → function → a service on
//! the internet. Each function is a [`Channel`] and what it renders.
//!
//! The way of a record: [`batch`] takes it, [`envelope`] unwraps it, [`message`] reads it,
//! [`posted`] says whether it was sent before, [`turn`] lets the notifications of a group go one
//! at a time and says which is late, the channel sends it, [`queue`] puts it off where that
//! failed, [`outcome`] is what the log says. [`standing`], [`severity`], [`how_it_ended`],
//! [`title`], [`value`] and [`plain`] are the words that channels have in common; [`secret`] is
//! what they are let in by.
//!
//! What always holds:
//! - A notification is claimed before it is sent and marked as sent after. A crash or a lost
//!   answer in between can double one; none is lost: what is not sent ends in the dead-letter
//!   queue.
//! - SNS and SQS keep no order. Notifications of a group carry a sequence number, and an older one
//!   that comes after a newer one is known to be late: it never takes the newer one's place.
//! - No secret is in a log, an error, a debug form or the table.

mod aws_error;
pub mod batch;
mod channel;
pub mod envelope;
pub mod environment;
pub mod how_it_ended;
pub mod lambda;
pub mod message;
pub mod outcome;
pub mod plain;
pub mod posted;
pub mod queue;
pub mod secret;
pub mod severity;
pub mod standing;
mod table;
pub mod title;
pub mod turn;
pub mod value;

pub use batch::{Function, Run};
pub use channel::{Budget, Channel, Note, Received, SendError, Sent};
pub use table::REMEMBERED;
