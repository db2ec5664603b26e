//! Texts for the user: sentences and labels made from the states, reasons and errors that the engine reports as values.
//! The terminal interface and the subcommands say the same.

pub mod peer;
pub mod port;
pub mod status;
pub mod why;
