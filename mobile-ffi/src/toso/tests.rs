//! A panic stays inside: the call answers an error, and the object goes on.

#![allow(clippy::panic, reason = "what these tests are about")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use tempfile::TempDir;

use super::{TosoClient, TosoConfig};
use crate::error::TosoError;

fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn a_panic_in_any_call_is_an_error_and_the_object_goes_on() {
    let folder = TempDir::new().expect("a temporary folder");
    let config = TosoConfig {
        folder: folder.path().to_str().expect("a path").to_owned(),
        key: vec![1; 32],
        device_name: String::new(),
        ca_pem: None,
        insecure_http: false,
    };
    let toso = wait(TosoClient::open(config, None)).expect("it opens");
    for _ in 0..20 {
        let read: Result<(), TosoError> =
            toso.read(|_| -> Result<(), TosoError> { panic!("as a read may, with Nguyễn Văn Thử in its words") });
        let Err(TosoError::Internal { info }) = read else { panic!("a panic is an error: {read:?}") };
        assert!(!info.detail.contains("Thử"), "what a panic says is not passed on");
        let write = wait(toso.write(|_| -> Result<(), TosoError> { panic!("as an edit may") }));
        assert!(matches!(write, Err(TosoError::Internal { .. })), "{write:?}");
        // With the lock over the documents held, too.
        let locked = toso.read(|replica| -> Result<(), TosoError> {
            replica.teams()?;
            panic!("after a read")
        });
        assert!(matches!(locked, Err(TosoError::Internal { .. })), "{locked:?}");
    }
    assert!(toso.teams().expect("it goes on").is_empty());
    assert_eq!(wait(toso.dismiss_held()).expect("it goes on"), 0);
    toso.shutdown();
}
