//! The server end to end: a real listener on the loopback, a real store in a temporary folder, frames and requests as
//! they travel.

mod clocks;
mod habits;
mod officers;
mod patience;
mod quota;
mod reads;
mod rest;
mod support;
mod sync;
mod twin;
