//! The colour of the bar beside a message.
//!
//! A bar and not a picture in the text: it is seen while scrolling, it says the same to everybody
//! whatever pictures their workspace has, and it takes no room from the words. It says nothing
//! that the header does not say in words, for those who do not see colours.

use delivery::severity::Severity;
use delivery::standing::Standing;

/// Neither good nor bad: an alert whose current state is unknown, a message that a newer one
/// overtook.
pub const GREY: &str = "#868686";
const RED: &str = "#d72b3f";
const AMBER: &str = "#e8a317";
const BLUE: &str = "#439fe0";
const GREEN: &str = "#2eb67d";

/// The colour of how things stand.
pub fn for_standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Firing { worst, .. } => match worst {
            Severity::Info => BLUE,
            Severity::Warning => AMBER,
            Severity::Error | Severity::Critical => RED,
        },
        Standing::Resolved => GREEN,
        Standing::Past | Standing::NoLongerReported | Standing::Ended => GREY,
    }
}
