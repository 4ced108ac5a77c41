//! What a server's session asks: queries and commits, each with its answer (see [`crate::ask`]).

use std::collections::HashSet;

use toso_core::change::Change;
use toso_core::chunk::ChangeHash;
use toso_core::id::{AuthorId, ChunkKey, DeviceId, DocId, Epoch, Sequence};
use toso_core::unit::{Scope, UnitRef};
use toso_wire::{Interest, Proof, Reviewed, UnitTotals};

use super::{
    AppendFailure, AppendOutcome, Authenticated, CarriedRefusal, HoldOutcome, HoldReason, Opened, PageRead, Refusal,
    ReturnVerdict, ServerEvent, WantedRead,
};
use crate::ask::Ask;
use crate::principal::Principal;

/// What a session has to know before it goes on. The answers may come in any order.
#[derive(Debug, PartialEq, Eq)]
pub enum Query {
    /// Who it is.
    Authenticate(Authenticate),
    /// Where the device stands.
    Open(Open),
    /// Whether an author signed what another brings.
    VerifyCarried(VerifyCarried),
    /// Whether a device's word is enough for what it returns.
    JudgeReturned(JudgeReturned),
    /// What officers decided.
    ReadDecisions(ReadDecisions),
    /// What a unit got.
    ReadPage(ReadPage),
    /// What a unit has.
    ReadElements(ReadElements),
    /// Some of what a unit has.
    ReadWanted(ReadWanted),
    /// What is counted.
    ReadTotals(ReadTotals),
}

/// What a session has kept, durably before the answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Commit {
    /// Changes for the log.
    Append(Append),
    /// Changes for the review queue.
    Hold(Hold),
    /// What the device was told.
    KeepTold(KeepTold),
}

/// Check a proof.
#[derive(Debug, PartialEq, Eq)]
pub struct Authenticate(pub Proof);

/// Subscribe to growth of these units and to counting, and say where the device stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Open {
    /// Who opens them, as its proof showed it.
    pub by: Principal,
    /// True when it was shut out.
    pub revoked: bool,
    /// The epoch the cursors belong to.
    pub epoch: Option<Epoch>,
    /// Units with cursors and digests.
    pub interests: Vec<Interest>,
}

/// Check an author's signature.
#[derive(Debug, PartialEq, Eq)]
pub struct VerifyCarried {
    /// The push.
    pub number: u64,
    /// The author device.
    pub author: AuthorId,
    /// What the author signed ([`toso_wire::signed_carried`]).
    pub signed: Vec<u8>,
    /// Its signature.
    pub signature: Vec<u8>,
}

/// Say whether a device's word is enough for who made what it returns.
#[derive(Debug, PartialEq, Eq)]
pub struct JudgeReturned {
    /// The push.
    pub number: u64,
    /// Who made the changes, by the device's word.
    pub author: AuthorId,
    /// Their scope.
    pub scope: Scope,
}

/// Read what officers decided about a device's changes.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadDecisions {
    /// Whose.
    pub author: AuthorId,
    /// What the device has kept, when it said so in this session; else what it has confirmed counts.
    pub after: Option<u64>,
}

/// Read chunks of a unit after a sequence.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadPage {
    /// The interest.
    pub unit: UnitRef,
    /// After this.
    pub after: Sequence,
}

/// Read which chunks of a unit lie at or below a position.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadElements {
    /// For whom.
    pub device: DeviceId,
    /// The interest.
    pub unit: UnitRef,
    /// At or below this.
    pub at: Sequence,
}

/// Read some chunks of a unit by their keys.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadWanted {
    /// For whom.
    pub device: DeviceId,
    /// The interest.
    pub unit: UnitRef,
    /// Which.
    pub keys: HashSet<ChunkKey>,
    /// After this.
    pub after: Sequence,
    /// At or below this.
    pub at: Sequence,
}

/// Read the figures of these units.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadTotals(pub Vec<UnitRef>);

/// Append to the log. The items go their own way; the rest is answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Append {
    /// Whose they are, and where from.
    pub push: Appending,
    /// The items.
    pub items: Vec<Change>,
}

/// A push on its way to the log.
#[derive(Debug, PartialEq, Eq)]
pub struct Appending {
    /// The push.
    pub number: u64,
    /// Who brings it.
    pub by: Principal,
    /// The unit that the device follows, when it is one.
    pub only_unit: Option<UnitRef>,
    /// Scope of all items.
    pub scope: Scope,
    /// True when the device had the items from the server, which has lost them, and vouches for their author.
    pub returned: bool,
    /// The author.
    pub author: AuthorId,
}

/// Put changes into the review queue.
#[derive(Debug, PartialEq, Eq)]
pub struct Hold {
    /// The push.
    pub number: u64,
    /// Scope of all items.
    pub scope: Scope,
    /// The author.
    pub author: AuthorId,
    /// Why they do not go to the log.
    pub reason: HoldReason,
    /// The items.
    pub items: Vec<Change>,
}

/// The device has kept all decisions up to this number.
#[derive(Debug, PartialEq, Eq)]
pub struct KeepTold {
    /// Whose.
    pub author: AuthorId,
    /// As in REVIEWED.
    pub number: u64,
}

/// The answer to a [`Query`]; made by [`Ask::answer`].
#[derive(Debug)]
pub enum Answer {
    /// To [`Authenticate`].
    Authenticated(Result<Authenticated, Refusal>),
    /// To [`Open`].
    Opened(Opened),
    /// To [`VerifyCarried`].
    CarriedVerified {
        /// The push.
        number: u64,
        /// The author as the server knows it, or why its signature counts for nothing.
        author: Result<Principal, CarriedRefusal>,
    },
    /// To [`JudgeReturned`].
    ReturnedJudged {
        /// The push.
        number: u64,
        /// What becomes of it.
        verdict: ReturnVerdict,
    },
    /// To [`ReadDecisions`]: what the device has not confirmed, if anything.
    Decisions(Option<Reviewed>),
    /// To [`ReadPage`].
    Page(PageRead),
    /// To [`ReadElements`].
    Elements {
        /// The interest.
        unit: UnitRef,
        /// Every chunk of it at or below the position asked for.
        chunks: Vec<(DocId, ChangeHash)>,
    },
    /// To [`ReadWanted`].
    Wanted(WantedRead),
    /// To [`ReadTotals`].
    Totals {
        /// What is counted.
        as_of: Sequence,
        /// The figures by unit.
        totals: Vec<UnitTotals>,
    },
}

/// The answer to a [`Commit`]; made by [`Ask::answer`].
#[derive(Debug)]
pub enum Committed {
    /// To [`Append`].
    Appended {
        /// The push.
        number: u64,
        /// What the log said.
        outcome: Result<AppendOutcome, AppendFailure>,
    },
    /// To [`Hold`].
    Held {
        /// The push.
        number: u64,
        /// What the review queue said.
        outcome: Result<HoldOutcome, AppendFailure>,
    },
    /// To [`KeepTold`]: there may be more to tell.
    Told,
}

impl From<Answer> for ServerEvent {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

impl From<Committed> for ServerEvent {
    fn from(committed: Committed) -> Self {
        Self::Committed(committed)
    }
}

/// Which answer belongs to what.
macro_rules! answered {
    ($($ask:ident with $answer:ty: |$of:pat_param, $given:pat_param| $event:expr;)*) => {
        $(impl Ask for $ask {
            type Answer = $answer;
            type Event = ServerEvent;

            fn answer(self, $given: $answer) -> ServerEvent {
                let $of = self;
                $event.into()
            }
        })*
    };
}

answered! {
    Authenticate with Result<Authenticated, Refusal>: |_, known| Answer::Authenticated(known);
    Open with Opened: |_, opened| Answer::Opened(opened);
    VerifyCarried with Result<Principal, CarriedRefusal>:
        |Self { number, .. }, author| Answer::CarriedVerified { number, author };
    JudgeReturned with ReturnVerdict: |Self { number, .. }, verdict| Answer::ReturnedJudged { number, verdict };
    ReadDecisions with Option<Reviewed>: |_, decisions| Answer::Decisions(decisions);
    ReadPage with PageRead: |_, page| Answer::Page(page);
    ReadElements with Vec<(DocId, ChangeHash)>: |Self { unit, .. }, chunks| Answer::Elements { unit, chunks };
    ReadWanted with WantedRead: |_, read| Answer::Wanted(read);
    ReadTotals with (Sequence, Vec<UnitTotals>): |_, (as_of, totals)| Answer::Totals { as_of, totals };
    Appending with Result<AppendOutcome, AppendFailure>:
        |Self { number, .. }, outcome| Committed::Appended { number, outcome };
    Hold with Result<HoldOutcome, AppendFailure>: |Self { number, .. }, outcome| Committed::Held { number, outcome };
    KeepTold with (): |_, ()| Committed::Told;
}
