//! What may move between threads, where there are threads.
//!
//! Under tokio a device's work goes from thread to thread, so whatever it awaits must be `Send`. In a browser there is one
//! thread, and nothing that a browser gives is `Send`. The bounds stand here once, so that no other line depends on it.

use std::pin::Pin;

/// Something that a transport is at; boxed, so that a transport is an object and nothing above it is generic. One box for each
/// frame is nothing beside the frame.
#[cfg(not(target_family = "wasm"))]
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// Something that a transport is at.
#[cfg(target_family = "wasm")]
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// [`Send`] where there are threads.
#[cfg(not(target_family = "wasm"))]
pub trait MaySend: Send {}
#[cfg(not(target_family = "wasm"))]
impl<T: Send + ?Sized> MaySend for T {}
/// [`Send`] where there are threads: here are none.
#[cfg(target_family = "wasm")]
pub trait MaySend {}
#[cfg(target_family = "wasm")]
impl<T: ?Sized> MaySend for T {}

/// [`Sync`] where there are threads.
#[cfg(not(target_family = "wasm"))]
pub trait MaySync: Sync {}
#[cfg(not(target_family = "wasm"))]
impl<T: Sync + ?Sized> MaySync for T {}
/// [`Sync`] where there are threads: here are none.
#[cfg(target_family = "wasm")]
pub trait MaySync {}
#[cfg(target_family = "wasm")]
impl<T: ?Sized> MaySync for T {}
