//! tmp
pub mod config;
pub mod counted;
pub mod hub;
pub mod log_writer;
pub mod metrics;
pub mod trust;
