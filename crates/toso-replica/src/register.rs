//! Which register a store belongs to: one, from the first invite until the store is emptied.
//!
//! All that a store holds is of one register: documents, what waits to be sent, what colleagues are called. An invite of
//! another server would hand all of it to that server, also one of a stranger that came by chat; so enrolment refuses it,
//! and the way to another register leads over an empty store.

use toso_store::{ChunkStore, StoreError, Transaction};

use crate::carry::keep::waiting_docs;
use crate::credential::{Credential, CredentialError};

/// Why a store was not emptied. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LeaveError {
    /// Something is nowhere but here.
    #[error(
        "{changes} change(s) of this device and {carried} record(s) that it carries for others have not reached the \
         register yet: sync first (where this device's role only reads, ask your officer for an invite as recorder before); \
         nothing was emptied"
    )]
    Unsent {
        /// Changes in the outbox.
        changes: usize,
        /// Documents with changes of others.
        carried: usize,
    },
    /// The device belongs to no register.
    #[error(transparent)]
    Credential(CredentialError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Refuses to empty a store that belongs to no register, or has something that the register has not.
pub fn check_leaving(store: &dyn ChunkStore) -> Result<(), LeaveError> {
    match Credential::load(store) {
        Ok(_) | Err(CredentialError::Unreadable(_)) => {}
        Err(CredentialError::Store(error)) => return Err(error.into()),
        Err(error @ CredentialError::NotEnrolled) => return Err(LeaveError::Credential(error)),
    }
    let (changes, carried) = (store.outbox_len()?, waiting_docs(store)?.len());
    if changes + carried > 0 { Err(LeaveError::Unsent { changes, carried }) } else { Ok(()) }
}

/// Empties a store, so that it may join another register: documents, outbox, names, held copies, credential, the device's own
/// key. Refused while anything is unsent. A replica that is open on the store must not be used any more.
pub fn leave_register(store: &dyn ChunkStore) -> Result<(), LeaveError> {
    check_leaving(store)?;
    Ok(store.commit(Transaction { empty: true, ..Transaction::default() })?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use toso_core::id::ServerId;
    use toso_core::text::PlaceName;
    use toso_store::memory::MemoryChunkStore;

    use super::*;
    use crate::reach::Reach;
    use crate::{Replica, TeamDraft};

    #[test]
    fn a_store_is_emptied_once_everything_is_sent_and_then_whole() {
        let store = Arc::new(MemoryChunkStore::new());
        assert!(matches!(leave_register(store.as_ref()), Err(LeaveError::Credential(CredentialError::NotEnrolled))));
        let credential = Credential {
            server_url: "https://register.invalid".to_owned(),
            server_id: ServerId([1; 16]),
            token: vec![1],
            unit: "2022/00001".parse().unwrap(),
            role: "recorder".to_owned(),
            token_ends: None,
            reach: Reach::default(),
        };
        credential.keep(store.as_ref()).unwrap();
        let below: Arc<dyn ChunkStore> = Arc::clone(&store) as Arc<dyn ChunkStore>;
        let replica = Replica::open(below, &crate::testing::options()).unwrap();
        let hamlet = Some(PlaceName::parse("Thôn Một").unwrap());
        replica.add_team(TeamDraft { hamlet, ..TeamDraft::default() }).unwrap();
        let refused = leave_register(store.as_ref());
        assert!(matches!(refused, Err(LeaveError::Unsent { changes: 1, carried: 0 })), "{refused:?}");
        assert_eq!(store.documents_len().unwrap(), 1);
        let sent = Transaction { outbox_remove: vec![1], ..Transaction::default() };
        store.commit(sent).unwrap();
        leave_register(store.as_ref()).unwrap();
        assert_eq!(store.documents_len().unwrap(), 0);
        assert!(matches!(Credential::load(store.as_ref()), Err(CredentialError::NotEnrolled)));
    }
}
